//! The file that keeps what is deleted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use backbone::timestamp::to_iso;
use backbone_aws::Letter;
use serde_json::json;

use super::letter::DeadLetterView;
use crate::failure::Failure;

/// The file that keeps what is deleted. There is none until something is.
pub(super) struct Archive {
    file: Option<File>,
    path: PathBuf,
}

impl Archive {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self { file: None, path }
    }

    /// Where it is, once there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    /// The file, new: what is in one already is not to be mixed with this, or overwritten.
    fn file(&mut self) -> io::Result<&mut File> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // bodies are nobody else's business
            let file = options.open(&self.path)?;
            keep_name(&self.path)?;
            file
        };
        Ok(self.file.insert(file))
    }

    /// Adds one line for each letter, and returns once the disk has them.
    pub(super) fn keep(&mut self, letters: &[&(Letter, DeadLetterView)]) -> Result<(), Failure> {
        let lines = letters.iter().map(|(letter, view)| {
            let Letter { message_id, body, attributes, sent_at_ms, .. } = letter;
            let line = json!({
                "queue": view.queue, "messageId": message_id, "sentAt": to_iso(*sent_at_ms), "attributes": attributes,
                "body": body,
            });
            format!("{line}\n")
        });
        let text: String = lines.collect();
        let kept = self.file().and_then(|file| {
            file.write_all(text.as_bytes())?;
            file.sync_data()
        });
        kept.map_err(|source| Failure::File { path: self.path.display().to_string(), source })
    }
}

/// Has the disk keep a new file's name, which is its folder's content and not its own.
#[cfg(unix)]
fn keep_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file.
#[cfg(not(unix))]
fn keep_name(_: &Path) -> io::Result<()> {
    Ok(())
}
