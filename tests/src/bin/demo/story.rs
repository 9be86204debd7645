//! What happens in the demo.

use std::error::Error;
use std::time::{Duration, Instant};

use acceptance::connector::{Connector, End, HttpAnswer, Receipt, ReceivedReceipt, Request, Session, Status};
use acceptance::eventually::{PATIENCE, wait_for};
use acceptance::registry_client::RegistryClient;
use acceptance::registry_event;
use acceptance::stack::{Depth, Stack};
use acceptance::stamp;
use aws_sdk_dynamodb::types::AttributeValue;

use super::report::{self, Hop, Report};
use super::webhook::Webhook;

type Outcome = Result<(), Box<dyn Error>>;

const REASON: &str = "max retry attempts exceeded: webhook answered 500";

/// A sender that waits on its socket, and a recipient that posts receipts.
pub(crate) struct Story {
    stack: Stack,
    sender: Connector,
    recipient: Connector,
    session: Session,
    posted: Vec<Receipt>,
    buried_before: Depth,
    webhook: Webhook,
}

impl Story {
    /// Registers and pairs two agents and connects the sender.
    pub(crate) async fn begin() -> Result<Self, Box<dyn Error>> {
        let stack = Stack::from_environment()?;
        let registry = RegistryClient::new(&stack.registry_url);
        let webhook = Webhook::open().await?;
        let sender =
            Connector::new(registry.register("alpha").await?, &stack.proxy_url)?.webhook(&webhook.url);
        let recipient = Connector::new(registry.register("beta").await?, &stack.proxy_url)?;
        stack.pair(sender.did(), recipient.did()).await?;
        let buried_before = stack.receipts_dlq().depth().await?;

        report::heading(&format!("Two paired agents at {}", stack.proxy_url));
        report::line(&format!("alpha, who sent the messages:   {}", sender.did()));
        report::line(&format!("beta, who received them:        {}", recipient.did()));

        let dialled = Instant::now();
        let session = sender.connect().await?;
        let open = dialled.elapsed();
        let heartbeat = session.acknowledged_heartbeat(PATIENCE).await?;
        report::heading("alpha connects");
        report::hops(vec![
            hop(Duration::ZERO, "handshake with passport, proof and access token"),
            hop(open, "socket open"),
            hop(heartbeat.sent - dialled, "heartbeat sent"),
            hop(heartbeat.acknowledged.unwrap_or(dialled) - dialled, "heartbeat answered"),
        ]);
        Ok(Self { stack, sender, recipient, session, posted: Vec::new(), buried_before, webhook })
    }

    /// The webhook took the message.
    pub(crate) async fn delivered(&mut self, report: &mut Report) -> Outcome {
        report::heading("beta's webhook took the first message");
        let receipt = self.receipt(Status::DeliveredToWebhook, None);
        self.post_and_follow(report, receipt).await
    }

    /// The recipient gave the message up.
    pub(crate) async fn dead_lettered(&mut self, report: &mut Report) -> Outcome {
        report::heading("beta gives the second message up");
        let receipt = self.receipt(Status::DeadLettered, Some(REASON));
        let posted = Instant::now();
        self.post_and_follow(report, receipt.clone()).await?;
        let (told, notice) = self.webhook.notice_about(&receipt.request_id).await?;
        report::hops(vec![hop(told - posted, "alpha's own webhook is told that the message died")]);
        report.check(
            "the alert says which message died, at whom and why",
            notice["status"] == receipt.status.name()
                && notice["toAgentDid"] == receipt.recipient_agent_did
                && notice["reason"] == REASON,
        );
        Ok(())
    }

    /// The first receipt again: taken, but nothing new to tell.
    pub(crate) async fn duplicate(&mut self, report: &mut Report) -> Outcome {
        report::heading("beta posts the first receipt once more");
        let Some(first) = self.posted.first().cloned() else {
            return Err("nothing was posted before".into());
        };
        let posted = Instant::now();
        let answer = self.recipient.post_receipt(&first).await?;
        let answered = posted.elapsed();
        self.stack.receipts_queue().drained().await?;
        report::hops(vec![
            hop(Duration::ZERO, "POST"),
            hop(answered, &describe(&answer)),
            hop(posted.elapsed(), "queue empty again"),
        ]);
        report.check("the duplicate is accepted", answer.status == 202);
        report.check("it brings no second frame", self.frames_about(&first).len() == 1);
        Ok(())
    }

    /// A receipt whose body was exchanged on the way.
    pub(crate) async fn forgery(&mut self, report: &mut Report) -> Outcome {
        report::heading("somebody exchanges the body of a signed receipt");
        let signed = self.receipt(Status::DeliveredToWebhook, None);
        let forged = Receipt { status: Status::DeadLettered, ..signed.clone() };
        let request = Request::post_receipt(&signed).body_after_signing(forged.rust_body());
        let posted = Instant::now();
        let answer = self.recipient.send(request).await?;
        report::hops(vec![hop(Duration::ZERO, "POST"), hop(posted.elapsed(), &describe(&answer))]);
        report.check(
            "the forgery is refused",
            answer.status == 401 && answer.error_code() == Some("PROXY_AUTH_INVALID_PROOF"),
        );
        self.stack.receipts_queue().drained().await?;
        report.check("it brings no frame", self.frames_about(&signed).is_empty());
        Ok(())
    }

    /// The balance: what was posted, came, once each; nothing else came, nothing was buried.
    pub(crate) async fn balance(&self, report: &mut Report) -> Outcome {
        report::heading("The balance");
        report.check(
            "every receipt came exactly once, and nothing else",
            self.session.receipts().len() == self.posted.len()
                && self.posted.iter().all(|receipt| self.frames_about(receipt).len() == 1),
        );
        let frames = self.session.frames();
        report.check(
            "every frame can be read by both existing connectors",
            frames.iter().all(|frame| frame.typescript.is_ok() && frame.rust.is_ok()),
        );
        let buried = self.stack.receipts_dlq().depth().await?;
        report.check("nothing went to the dead-letter queue", buried == self.buried_before);
        Ok(())
    }

    /// The registry says that the sender is revoked.
    pub(crate) async fn revoked(self, report: &mut Report) -> Outcome {
        report::heading("alpha is revoked");
        let told = Instant::now();
        let event = registry_event::revoked(self.sender.did(), "agent_revoked");
        self.stack.events_queue().send(&event.to_string()).await?;
        let end = self.session.ended(PATIENCE).await?;
        let cut = told.elapsed();
        let looked_up = self.sender.get_receipt(&stamp::new_ulid(), self.recipient.did()).await?;
        let answered = told.elapsed();
        let handshake = self.sender.connect().await.err().and_then(|refusal| refusal.status());
        report::hops(vec![
            hop(Duration::ZERO, "the registry's event is on the events queue"),
            hop(cut, "alpha's socket is cut"),
            hop(answered, &format!("alpha's next request: {}", describe(&looked_up))),
            hop(told.elapsed(), &format!("alpha's next handshake: {}", handshake.unwrap_or(101))),
        ]);
        report.check("the live socket is closed", matches!(end, End::Closed { .. }));
        report.check(
            "what alpha asks from now on is refused",
            (looked_up.status, looked_up.error_code()) == (401, Some("PROXY_AUTH_REVOKED")),
        );
        report.check("alpha does not come back", handshake == Some(401));
        Ok(())
    }

    fn receipt(&self, status: Status, reason: Option<&str>) -> Receipt {
        Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.sender.did().to_owned(),
            recipient_agent_did: self.recipient.did().to_owned(),
            status,
            reason: reason.map(str::to_owned),
        }
    }

    async fn post_and_follow(&mut self, report: &mut Report, receipt: Receipt) -> Outcome {
        let (posted, posted_ms) = (Instant::now(), stamp::now_ms());
        let answer = self.recipient.post_receipt(&receipt).await?;
        let answered = posted.elapsed();
        report::line(&format!("message {}", receipt.request_id));
        if answer.status != 202 {
            return Err(describe(&answer).into());
        }
        let received = self.session.next_receipt(PATIENCE).await?;
        let pushed_ms = self.pushed_at_ms(&receipt).await?;
        report::hops(vec![
            hop(Duration::ZERO, "POST by beta"),
            hop(answered, &format!("{}: durable, on the receipts queue", describe(&answer))),
            hop(Duration::from_millis(pushed_ms.saturating_sub(posted_ms)), "push noted in the receipts row"),
            hop(received.at - posted, "frame received by alpha"),
        ]);
        report.check("the frame says what was posted", says(&received, &receipt));
        let found = self.sender.get_receipt(&receipt.request_id, &receipt.recipient_agent_did).await?;
        report.check(
            "alpha can look it up",
            found.status == 200 && found.json["receipt"]["state"] == receipt.status.name(),
        );
        self.posted.push(receipt);
        Ok(())
    }

    /// `pushedAt` of the receipt's row, in milliseconds since the Unix epoch. It is written after the push.
    async fn pushed_at_ms(&self, receipt: &Receipt) -> Result<u64, Box<dyn Error>> {
        let client = self.stack.dynamodb();
        let pushed_at = wait_for("pushedAt in the receipts row", async || {
            let answer = client
                .get_item()
                .table_name(&self.stack.outputs.receipts_table)
                .key("senderAgentDid", AttributeValue::S(receipt.sender_agent_did.clone()))
                .key("item", AttributeValue::S(receipt.request_id.clone()))
                .consistent_read(true)
                .send()
                .await
                .map_err(|problem| problem.to_string())?;
            let row = answer.item.ok_or("no row")?;
            let pushed_at = row.get("pushedAt").and_then(|value| value.as_n().ok()?.parse().ok());
            pushed_at.ok_or_else(|| format!("a row with {:?}", row.keys()))
        });
        Ok(pushed_at.await?)
    }

    fn frames_about(&self, receipt: &Receipt) -> Vec<ReceivedReceipt> {
        let mut received = self.session.receipts();
        received.retain(|received| received.frame.original_frame_id == receipt.request_id);
        received
    }
}

fn says(received: &ReceivedReceipt, receipt: &Receipt) -> bool {
    let frame = &received.frame;
    frame.original_frame_id == receipt.request_id
        && frame.to_agent_did == receipt.recipient_agent_did
        && frame.status == receipt.status
        && frame.reason == receipt.reason
}

fn describe(answer: &HttpAnswer) -> String {
    match answer.error_code() {
        Some(code) => format!("{} {code}", answer.status),
        None => format!("{} {}", answer.status, answer.body),
    }
}

fn hop(after: Duration, what: &str) -> Hop {
    Hop { after, what: what.to_owned() }
}
