//! Child processes, and that none of them outlives us.
//!
//! Every child leads a process group of its own, so that what it starts is ended with it, and Ctrl-C in the terminal
//! reaches us alone and not half of them. All children are kept in one place, which a signal, an error and a panic
//! find in the same way.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::failure::Failure;

/// MiniStack takes two seconds to stop when asked; who takes longer than this is not asked again.
const STOP_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

static CHILDREN: Mutex<Children> =
    Mutex::new(Children { running: Vec::new(), scratch: Vec::new(), stopping: false });

struct Children {
    running: Vec<Child>,
    /// Folders that nobody needs once the children are gone.
    scratch: Vec<PathBuf>,
    /// Once set, nothing new is started.
    stopping: bool,
}

/// Where a child's output goes.
pub(crate) enum Output<'a> {
    /// To our own terminal.
    Shown,
    /// To the end of a file.
    Log(&'a Path),
    /// What it prints to a file of its own, what it says about that to the end of `log`.
    Captured {
        /// Written anew.
        stdout: &'a Path,
        /// Appended to.
        log: &'a Path,
    },
}

/// A child that is meant to stay.
pub(crate) struct Service {
    id: u32,
    name: &'static str,
    log: PathBuf,
}

impl Service {
    /// Fails if the child has ended, which no service does by itself.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match status_of(self.id)? {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!("{} ended ({status})", self.name)).with_log(&self.log)),
        }
    }

    /// Waits until `ready` says so, as long as the child lives.
    pub(crate) fn wait_until(&self, within: Duration, ready: impl Fn() -> bool) -> Result<(), Failure> {
        let started = Instant::now();
        while !ready() {
            self.check()?;
            if started.elapsed() > within {
                let reason = format!("{} was not ready after {} s", self.name, within.as_secs());
                return Err(Failure::new(reason).with_log(&self.log));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// Starts a child that stays, its output in `log`.
pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Service, Failure> {
    let id = spawn(command, &Output::Log(log))?;
    Ok(Service { id, name, log: log.to_owned() })
}

/// Runs a child to its end.
///
/// # Errors
///
/// If it cannot be started, or ends with anything but success; the failure then carries the log.
pub(crate) fn run(command: &mut Command, output: &Output<'_>) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let id = spawn(command, output)?;
    let status = loop {
        if let Some(status) = status_of(id)? {
            break status;
        }
        thread::sleep(LOOK_EVERY);
    };
    forget(id);
    if status.success() {
        return Ok(());
    }
    let failure = Failure::new(format!("{program} ended with {status}"));
    Err(match output {
        Output::Shown => failure,
        Output::Log(log) | Output::Captured { log, .. } => failure.with_log(log),
    })
}

/// Removes a folder once the children are gone.
pub(crate) fn remove_afterwards(folder: &Path) {
    children().scratch.push(folder.to_owned());
}

/// Ends every child when dropped.
pub(crate) struct StopOnDrop;

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        stop_all();
    }
}

/// From here on Ctrl-C, SIGTERM and a closed terminal end the children first and us after them.
pub(crate) fn stop_on_signals() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        eprintln!("\nstopping");
        stop_all();
        std::process::exit(INTERRUPTED);
    })
    .map_err(|error| Failure::new(format!("cannot handle signals: {error}")))
}

/// Does not return while a signal is being handled: what fails then fails because it was ended, and says nothing new.
pub(crate) fn park_if_stopping() {
    while children().stopping {
        thread::park();
    }
}

fn spawn(command: &mut Command, output: &Output<'_>) -> Result<u32, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).process_group(0);
    match output {
        Output::Shown => {}
        Output::Log(log) => {
            command.stdout(open(log, OpenOptions::new().append(true))?);
            command.stderr(open(log, OpenOptions::new().append(true))?);
        }
        Output::Captured { stdout, log } => {
            command.stdout(open(stdout, OpenOptions::new().write(true).truncate(true))?);
            command.stderr(open(log, OpenOptions::new().append(true))?);
        }
    }

    let mut children = children();
    if children.stopping {
        return Err(Failure::new("interrupted"));
    }
    let child = command.spawn().map_err(|error| Failure::io(format!("cannot start {program}"), &error))?;
    let id = child.id();
    children.running.push(child);
    Ok(id)
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, Failure> {
    options
        .create(true)
        .open(path)
        .map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
}

/// `None` while the child runs.
fn status_of(id: u32) -> Result<Option<ExitStatus>, Failure> {
    let mut children = children();
    let child = children.running.iter_mut().find(|child| child.id() == id);
    let child = child.ok_or_else(|| Failure::new("interrupted"))?;
    child.try_wait().map_err(|error| Failure::io("cannot wait for a child process", &error))
}

fn forget(id: u32) {
    children().running.retain(|child| child.id() != id);
}

/// Asks all groups to end, waits for their leaders, ends what is left by force, and removes the scratch folders.
///
/// Whoever comes second waits until all that is done, as the children stay locked.
fn stop_all() {
    let mut children = children();
    children.stopping = true;
    for child in &children.running {
        signal_group(child, Signal::SIGTERM);
    }
    let asked = Instant::now();
    while asked.elapsed() < STOP_WITHIN && children.running.iter_mut().any(is_running) {
        thread::sleep(LOOK_EVERY);
    }
    for mut child in children.running.drain(..) {
        signal_group(&child, Signal::SIGKILL);
        // It is gone or cannot be helped; either way there is nobody left to tell.
        drop(child.wait());
    }
    for folder in children.scratch.drain(..) {
        // What stays is a matter of space; `cargo clean` finds it.
        drop(fs::remove_dir_all(folder));
    }
}

fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// An error means that the group is gone, which is what we want.
fn signal_group(leader: &Child, signal: Signal) {
    if let Ok(id) = i32::try_from(leader.id()) {
        let _ = killpg(Pid::from_raw(id), signal);
    }
}

/// A panic elsewhere must not keep us from ending the children.
fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
