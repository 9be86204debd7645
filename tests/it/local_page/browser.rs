//! A real browser, without a window, for one test.
//!
//! Chromium is driven by `chromedriver`, which clicks as a person does: an element that is covered, disabled or out of
//! reach is not clicked.

use std::process::Stdio;

use acceptance::connector::http_client;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// A browser. It ends with the test, however that ends.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    chromedriver: Chromedriver,
}

/// The program between us and the browser. The browser is in its process group.
struct Chromedriver {
    process: Child,
    /// Kept open: it would die of a line that nobody can read.
    _output: (BufReader<ChildStdout>, ChildStderr),
    url: String,
}

impl Browser {
    /// A new window of this size, in pixels.
    pub(crate) async fn open(width: u32, height: u32) -> Self {
        let chromedriver = Chromedriver::start().await;
        let mut wanted = DesiredCapabilities::chrome();
        wanted.add_arg("--headless=new").unwrap();
        wanted.add_arg(&format!("--window-size={width},{height}")).unwrap();
        // CI runs as root, as whom Chromium has no sandbox; it loads nothing here but our own page.
        wanted.add_arg("--no-sandbox").unwrap();
        wanted.add_arg("--disable-dev-shm-usage").unwrap();
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::builder(&chromedriver.url, wanted).client(http_client()).connect().await;
        Self { driver: driver.unwrap(), chromedriver }
    }

    /// As wide as this, in pixels, as a phone is.
    pub(crate) async fn narrow_to(&self, width: u32) {
        self.driver.cdp().emulation().set_device_metrics_override(width, 800, 1.0, true).await.unwrap();
    }

    /// Errors that the page's scripts or its policy have caused.
    pub(crate) async fn errors(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap();
        entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    pub(crate) async fn close(self) {
        self.driver.quit().await.unwrap();
        drop(self.chromedriver);
    }
}

impl Chromedriver {
    async fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|problem| {
                panic!(
                    "the web page is tested in a real browser, and chromedriver does not start ({problem}): install \
                     Chromium and its driver (Debian: apt install chromium chromium-driver)"
                )
            });
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = process.stderr.take().unwrap();
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).await.unwrap(), 0, "chromedriver has ended");
            // "ChromeDriver was started successfully on port 33041."
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ")
            {
                break port.to_owned();
            }
        };
        Self { process, _output: (stdout, stderr), url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        if let Some(id) = self.process.id().and_then(|id| i32::try_from(id).ok()) {
            // An error means that they are gone.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}
