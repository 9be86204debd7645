//! Steps as they are shown: what is being done, for how long, and how it ended.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::Failure;

const FRAMES: [&str; 4] = ["|", "/", "-", "\\"];
const SPIN_EVERY: Duration = Duration::from_millis(120);
/// Where there is no terminal, a dot this often shows that the machine is not stuck.
const DOT_EVERY: Duration = Duration::from_secs(5);

/// Runs a step that writes nothing to the terminal itself.
pub(crate) fn run<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let started = Instant::now();
    let progress = Progress::start(name);
    let outcome = work();
    progress.stop();
    conclude(name, started, outcome)
}

/// Runs a step whose own output is what one wants to see.
pub(crate) fn run_shown<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let started = Instant::now();
    println!("  ..  {name}");
    conclude(name, started, work())
}

fn conclude<T>(name: &str, started: Instant, outcome: Result<T, Failure>) -> Result<T, Failure> {
    let mark = if outcome.is_ok() { " ok " } else { "FAIL" };
    println!("{mark}  {name} ({:.1} s)", started.elapsed().as_secs_f32());
    outcome.map_err(|failure| failure.in_step(name))
}

/// The line that moves while a step runs.
struct Progress {
    /// Dropping it ends the thread.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    fn start(name: &str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let name = name.to_owned();
        let thread = thread::spawn(move || {
            if io::stdout().is_terminal() {
                spin(&name, &stopped);
            } else {
                dot(&name, &stopped);
            }
        });
        Self { stop, thread }
    }

    fn stop(self) {
        drop(self.stop);
        // A progress line that panicked must not fail the step it was about.
        drop(self.thread.join());
    }
}

fn spin(name: &str, stopped: &mpsc::Receiver<()>) {
    let started = Instant::now();
    for frame in FRAMES.iter().cycle() {
        show(&format!("\r {frame}    {name} {} s", started.elapsed().as_secs()));
        if stopped.recv_timeout(SPIN_EVERY) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
    }
    show("\r\x1b[2K");
}

fn dot(name: &str, stopped: &mpsc::Receiver<()>) {
    show(&format!("  ..  {name} "));
    while stopped.recv_timeout(DOT_EVERY) == Err(RecvTimeoutError::Timeout) {
        show(".");
    }
    show("\n");
}

fn show(text: &str) {
    print!("{text}");
    // Progress nobody can read is no reason to fail.
    drop(io::stdout().flush());
}
