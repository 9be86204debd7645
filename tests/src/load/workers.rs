//! The processes in which the local AWS runs a function.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::connector::{HttpAnswer, NoAnswer, http_client};
use crate::stack::Stack;

/// The worker processes of one function of one stack, found by their environment. Other stacks on this machine may run
/// functions of the same name, so the endpoint has to be this stack's too.
pub struct Workers {
    marks: [String; 2],
    messages_url: String,
}

/// A message that has been received and neither deleted nor shown again: its id, and how often it was received.
pub type Delivery = (String, u64);

impl Workers {
    /// Those of `function`, which reads the receipts queue.
    #[must_use]
    pub fn of(stack: &Stack, function: &str) -> Self {
        let endpoint = &stack.aws_endpoint;
        Self {
            marks: [format!("AWS_LAMBDA_FUNCTION_NAME={function}"), format!("AWS_ENDPOINT_URL={endpoint}")],
            messages_url: format!(
                "{endpoint}/_ministack/sqs/messages?QueueUrl={}",
                stack.outputs.receipts_queue_url
            ),
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

    /// The messages that were received and are not settled.
    ///
    /// # Errors
    ///
    /// If the local AWS does not answer.
    pub async fn deliveries_under_way(&self) -> Result<BTreeSet<Delivery>, NoAnswer> {
        let answer = HttpAnswer::read(http_client().get(&self.messages_url).send().await).await?;
        // { "messages": { account: { region: { queue URL: [ message ] } } } }
        let queues = members(&answer.json["messages"]).flat_map(members).flat_map(members);
        let under_way = queues
            .filter_map(Value::as_array)
            .flatten()
            .filter(|message| message["IsVisible"] == false)
            .filter_map(|message| {
                let receives = message["ReceiveCount"].as_u64().filter(|receives| *receives > 0)?;
                Some((message["MessageId"].as_str()?.to_owned(), receives))
            });
        Ok(under_way.collect())
    }
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(serde_json::Map::values)
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
            messages_url: String::new(),
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
