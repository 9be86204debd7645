//! The processes in which the local AWS runs a function.

use std::path::Path;
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stack::Stack;

/// The worker processes of one function of one stack, found by their environment. Other stacks on this machine may run
/// functions of the same name, so the endpoint has to be this stack's too.
pub struct Workers {
    marks: [String; 2],
}

impl Workers {
    /// Those of `function`.
    #[must_use]
    pub fn of(stack: &Stack, function: &str) -> Self {
        let endpoint = &stack.aws_endpoint;
        Self {
            marks: [format!("AWS_LAMBDA_FUNCTION_NAME={function}"), format!("AWS_ENDPOINT_URL={endpoint}")],
        }
    }

    /// The process ids of those that run now.
    ///
    /// # Errors
    ///
    /// If `/proc` cannot be read.
    pub fn running(&self) -> io::Result<Vec<Pid>> {
        let entries = fs::read_dir("/proc")?;
        let processes = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            self.is_one(&path).then(|| Pid::from_raw(id))
        });
        Ok(processes.collect())
    }

    /// A process that has ended meanwhile, or is somebody else's, is none.
    fn is_one(&self, process: &Path) -> bool {
        let Ok(environment) = fs::read(process.join("environ")) else { return false };
        let variables: Vec<_> = environment.split(|byte| *byte == 0).collect();
        self.marks.iter().all(|mark| variables.contains(&mark.as_bytes()))
    }

    /// Ends all of them as `kill -9` does, and returns how many there were.
    ///
    /// # Errors
    ///
    /// If a process cannot be signalled.
    pub fn kill_all(&self) -> io::Result<usize> {
        let processes = self.running()?;
        for process in &processes {
            match kill(*process, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(processes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_the_processes_of_this_function_on_this_stack_are_ended() {
        let process = |function: &str, endpoint: &str| {
            let mut command = Command::new("sleep");
            command.arg("60").env("AWS_LAMBDA_FUNCTION_NAME", function).env("AWS_ENDPOINT_URL", endpoint);
            command.stdin(Stdio::null()).spawn().expect("sleep is everywhere")
        };
        let name = format!("function-{}", crate::stamp::new_ulid());
        let mut ours = process(&name, "http://127.0.0.1:1");
        let mut others = [process(&name, "http://127.0.0.1:2"), process("another", "http://127.0.0.1:1")];
        let workers = Workers {
            marks: [
                format!("AWS_LAMBDA_FUNCTION_NAME={name}"),
                "AWS_ENDPOINT_URL=http://127.0.0.1:1".to_owned(),
            ],
        };
        let killed = workers.kill_all().unwrap();
        assert_eq!(killed, 1);
        assert_eq!(ours.wait().unwrap().code(), None, "it was ended by a signal");
        for other in &mut others {
            assert_eq!(other.try_wait().unwrap(), None, "it goes on");
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }
}
