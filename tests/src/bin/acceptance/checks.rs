//! What is checked of a deployed stack, in this order.

use std::error::Error;
use std::time::{Duration, Instant};

use acceptance::connector::{
    Connector, End, HttpAnswer, Identity, RECEIPTS_PATH, Receipt, Request, Session, Status, http_client,
};
use acceptance::eventually::{PATIENCE, wait_for, wait_for_patiently};
use acceptance::stamp;
use serde_json::{Value, json};

use super::deployment::Deployment;
use super::report::{Report, part};
use super::rows::Rows;

type Outcome = Result<(), Box<dyn Error>>;

/// How long an instance that has just asked the registry does not look for a new key.
const KEY_KNOWN_WITHIN: Duration = Duration::from_secs(90);
/// Between two requests that are refused until then: each is counted where somebody may be woken for it.
const REFUSALS_APART: Duration = Duration::from_secs(2);
/// A connector gives up waiting for an acknowledgement after this.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(15);
/// A connector that ends again and again shortly after a receipt is put into quarantine: no more than this.
const CONNECTS_WITH_A_PUSH: usize = 2;

struct Run<'a> {
    deployment: &'a Deployment,
    rows: &'a Rows<'a>,
    sender: Connector,
    recipient: Connector,
}

pub(crate) async fn run(deployment: &Deployment, rows: &Rows<'_>, report: &mut Report) -> Outcome {
    let connector = |identity: &Identity| Connector::new(identity.clone(), &deployment.proxy_url);
    let [sender, recipient] = &rows.agents;
    let run = Run { deployment, rows, sender: connector(sender)?, recipient: connector(recipient)? };
    run.health(report).await?;
    run.known(report).await?;
    run.receipts(report).await?;
    run.mailbox(report).await?;
    run.sockets(report).await?;
    run.right_after_connecting(report).await?;
    run.refusals(report).await?;
    run.refused_handshakes(report).await?;
    run.around_the_front_door(report).await?;
    run.revocation(report).await
}

impl Run<'_> {
    fn receipt(&self, status: Status) -> Receipt {
        Receipt {
            request_id: stamp::new_ulid(),
            sender_agent_did: self.sender.did().to_owned(),
            recipient_agent_did: self.recipient.did().to_owned(),
            status,
            reason: None,
        }
    }

    async fn health(&self, report: &mut Report) -> Outcome {
        part("Is it there?");
        let answer = plain_get(&format!("{}/health", self.deployment.proxy_url)).await?;
        report.check("GET /health is 200 with a version", is_health(&answer), &seen(&answer));
        let nowhere = plain_get(&format!("{}/v1/nowhere", self.deployment.proxy_url)).await?;
        report.check("another path is 404", nowhere.status == 404, &seen(&nowhere));
        Ok(())
    }

    async fn known(&self, report: &mut Report) -> Outcome {
        let look_up = async || self.sender.get_receipt(&stamp::new_ulid(), self.recipient.did()).await;
        let known =
            wait_for_patiently("the key", KEY_KNOWN_WITHIN, REFUSALS_APART, async || match look_up().await {
                Ok(refused) if refused.status == 401 => Err(seen(&refused)),
                answered => Ok(answered),
            });
        let answer = match known.await {
            Ok(answered) => answered?,
            Err(_) => look_up().await?,
        };
        let unknown = answer.status == 404 && answer.json == json!({ "found": false });
        report.check("a look-up of an unknown receipt is 404 without an error", unknown, &seen(&answer));
        report.settle("headers in the client's case reach the functions", yes(unknown));
        Ok(())
    }

    async fn receipts(&self, report: &mut Report) -> Outcome {
        part("Receipts for a sender who is there");
        let mut session = self.sender.connect().await?;
        let beat = session.acknowledged_heartbeat(ACKNOWLEDGED_WITHIN).await;
        report.check("a heartbeat is acknowledged", beat.is_ok(), &problem(&beat));
        report.settle("an answer goes back by the route response", yes(beat.is_ok()));
        for status in [Status::DeliveredToWebhook, Status::DeadLettered] {
            let receipt = self.receipt(status);
            let began = Instant::now();
            let answer = self.recipient.post_receipt(&receipt).await?;
            report.check(&format!("{status}: the POST is 202"), answer.status == 202, &seen(&answer));
            let arrived = session.next_receipt(PATIENCE).await;
            let right = arrived.as_ref().is_ok_and(|arrived| {
                arrived.frame.original_frame_id == receipt.request_id && arrived.frame.status == status
            });
            report.check(&format!("{status}: the frame arrives"), right, &problem(&arrived));
            report
                .settle(&format!("{status}: POST to frame"), &format!("{} ms", began.elapsed().as_millis()));
            self.is_stored(report, &receipt).await;
        }
        let readable = session.frames().iter().all(|frame| frame.rust.is_ok() && frame.typescript.is_ok());
        report.check("both connectors can read every frame", readable, &format!("{:?}", session.frames()));
        session.close().await?;
        Ok(())
    }

    async fn is_stored(&self, report: &mut Report, receipt: &Receipt) {
        let found = wait_for("the receipt's row", async || {
            let answer = self.sender.get_receipt(&receipt.request_id, self.recipient.did()).await;
            let answer = answer.map_err(|problem| problem.to_string())?;
            if answer.status == 200 { Ok(answer.json) } else { Err(seen(&answer)) }
        })
        .await;
        let state = found.as_ref().ok().map(|found| found["receipt"]["state"].clone());
        let right = state == Some(json!(receipt.status.name()));
        report.check(&format!("{}: it can be looked up", receipt.status), right, &problem(&found));
    }

    async fn mailbox(&self, report: &mut Report) -> Outcome {
        part("Receipts for a sender who is away");
        let waiting = self.receipt(Status::DeliveredToWebhook);
        let answer = self.recipient.post_receipt(&waiting).await?;
        report.check("the POST is 202", answer.status == 202, &seen(&answer));
        self.is_stored(report, &waiting).await;
        let mut session = self.sender.connect().await?;
        let arrived = session.next_receipt(PATIENCE).await;
        let right =
            arrived.as_ref().is_ok_and(|arrived| arrived.frame.original_frame_id == waiting.request_id);
        report.check("it arrives after the connect", right, &problem(&arrived));
        Ok(())
    }

    async fn sockets(&self, report: &mut Report) -> Outcome {
        part("Sockets");
        let older = self.sender.connect().await?;
        let session = self.sender.connect().await?;
        let displaced = older.ended(PATIENCE).await;
        report.check("a newer socket displaces the older", displaced.is_ok(), &problem(&displaced));
        let enqueue = json!({
            "v": 1, "type": "enqueue", "id": stamp::new_ulid(), "ts": stamp::now_iso(),
            "toAgentDid": self.recipient.did(), "payload": { "message": "hello" },
        });
        session.send_text(enqueue.to_string());
        let refused = session.frame(PATIENCE, |frame| frame.text.contains("enqueue_ack")).await;
        let told = refused.as_ref().is_ok_and(|frame| frame.text.contains("\"accepted\":false"));
        report.check("a message is refused in words", told, &problem(&refused));
        for nonsense in ["", "{", r#"{"v":1,"type":"notice"}"#, r#"{"v":1,"type":"deliver_ack"}"#] {
            session.send_text(nonsense);
        }
        session.send_text(r#"{"v":1,"type":"heartbeat","id":"no ulid"}"#);
        let answered = session.frame(PATIENCE, |frame| frame.text.contains("\"heartbeat\"")).await;
        report.check("a heartbeat that is none is answered by one", answered.is_ok(), &problem(&answered));
        let empty = session.end().is_none() && session.frames().iter().all(|frame| frame.rust.is_ok());
        report.check("nothing else is answered to nonsense", empty, &format!("{:?}", session.frames()));
        report.settle("an empty answer sends nothing", yes(empty));
        session.send_text("x".repeat(32 * 1024 + 1));
        let cut = session.ended(PATIENCE).await;
        let code = matches!(cut, Ok(End::Closed { code: 1009, .. }));
        report.check("a frame above 32 KB closes with 1009", code, &format!("{cut:?}"));
        Ok(())
    }

    /// A push that comes while API Gateway is still opening the socket.
    async fn right_after_connecting(&self, report: &mut Report) -> Outcome {
        part("A push while connecting");
        let mut missing = 0;
        let mut off_record = Vec::new();
        for _ in 0..CONNECTS_WITH_A_PUSH {
            let receipt = self.receipt(Status::DeliveredToWebhook);
            let (session, posted) =
                tokio::join!(self.sender.connect(), self.recipient.post_receipt(&receipt));
            let mut session: Session = session?;
            assert_status(&posted?, 202)?;
            let arrived = session.next_receipt(PATIENCE).await;
            let right = arrived.is_ok_and(|arrived| arrived.frame.original_frame_id == receipt.request_id);
            missing += usize::from(!right);
            session.close().await?;
            off_record.extend(self.rows.socket_ended(self.sender.identity()).await.err());
        }
        let what = format!("{CONNECTS_WITH_A_PUSH} receipts posted while connecting arrive");
        report.check(&what, missing == 0, &format!("{missing} missing"));
        report.settle("410 while connecting loses nothing", yes(missing == 0));
        let example = off_record.first().map_or_else(String::new, |last| format!(", for instance: {last}"));
        let told = CONNECTS_WITH_A_PUSH - off_record.len();
        report.settle(
            "sockets that ended and were told of",
            &format!("{told} of {CONNECTS_WITH_A_PUSH}{example}"),
        );
        Ok(())
    }

    async fn refusals(&self, report: &mut Report) -> Outcome {
        part("Refusals");
        let post = || Request::post_receipt(&self.receipt(Status::DeliveredToWebhook));
        let old = (stamp::now_s() - 301).to_string();
        let other = post().sign(self.recipient.identity()).body;
        for (request, status, code) in [
            (post().without_header("Authorization"), 401, "PROXY_AUTH_MISSING_TOKEN"),
            (post().scheme("Bearer"), 401, "PROXY_AUTH_INVALID_SCHEME"),
            (post().header("Authorization", "Claw x.y.z"), 401, "PROXY_AUTH_INVALID_AIT"),
            (post().timestamp(&old), 401, "PROXY_AUTH_TIMESTAMP_SKEW"),
            (post().body_after_signing(other), 401, "PROXY_AUTH_INVALID_PROOF"),
            (post().without_header("X-Claw-Agent-Access"), 401, "PROXY_AGENT_ACCESS_REQUIRED"),
            (Request::post(RECEIPTS_PATH, "{}"), 400, "PROXY_RELAY_RECEIPT_INVALID_INPUT"),
            (Request::get(RECEIPTS_PATH), 400, "PROXY_RELAY_RECEIPT_INVALID_QUERY"),
        ] {
            let answer = self.recipient.send(request).await?;
            let right = answer.status == status && answer.error_code() == Some(code);
            report.check(&format!("{status} {code}"), right, &seen(&answer));
        }
        let signed = post().sign(self.recipient.identity());
        assert_status(&self.recipient.send_signed(&signed).await?, 202)?;
        let replay = self.recipient.send_signed(&signed).await?;
        let refused = replay.error_code() == Some("PROXY_AUTH_REPLAY");
        report.check("401 PROXY_AUTH_REPLAY", refused, &seen(&replay));
        Ok(())
    }

    async fn refused_handshakes(&self, report: &mut Report) -> Outcome {
        part("Refused handshakes");
        let none = self.sender.connect_with(|request| request.without_header("Authorization")).await;
        let none = none.err().and_then(|error| error.status());
        report.check("without a token: 401", none == Some(401), &status(none));
        report.settle("an authorizer's `Unauthorized` becomes", &status(none));
        let query = Connector::new(
            self.sender.identity().clone(),
            &format!("{}/v1/relay/connect?x=1", self.deployment.proxy_url),
        )?;
        let query = query.connect().await.err().and_then(|error| error.status());
        report.check("with a query: 401", query == Some(401), &status(query));
        let session = self.sender.connect().await;
        report.check("the path /v1/relay/connect opens a socket", session.is_ok(), &problem(&session));
        report.settle("the path is rewritten to the stage", yes(session.is_ok()));
        let plain = plain_get(&format!("{}/v1/relay/connect", self.deployment.proxy_url)).await?;
        let refused = (400..500).contains(&plain.status);
        report.check("without `Upgrade` it is refused", refused, &seen(&plain));
        report.settle("a connect without `Upgrade` is", &plain.status.to_string());
        Ok(())
    }

    async fn around_the_front_door(&self, report: &mut Report) -> Outcome {
        part("Around the front door");
        let stage = format!("/{}", self.deployment.environment);
        let identity = self.sender.identity().clone();
        let direct = Connector::dialling(identity, &self.deployment.websocket_url, &stage)?;
        let socket = direct.connect().await.err().and_then(|error| error.status());
        let request = Request::post_receipt(&self.receipt(Status::DeliveredToWebhook));
        let signed = request.sign(self.recipient.identity());
        let mut post = http_client().post(format!("{}{RECEIPTS_PATH}", self.deployment.http_api_url));
        for (name, value) in &signed.headers {
            post = post.header(name, value);
        }
        let answer = HttpAnswer::read(post.body(signed.body).send().await).await?;
        let taken = socket.is_none() && answer.status == 202;
        // The local AWS calls every failing authorizer 500.
        let refused =
            matches!(socket, Some(401 | 500)) && answer.error_code() == Some("PROXY_DIRECT_FORBIDDEN");
        let what = "both APIs refuse it, or both take it because AllowDirect says so";
        report.check(what, taken || refused, &format!("socket {}, POST {}", status(socket), seen(&answer)));
        report.settle("requests around the front door are", if taken { "taken" } else { "refused" });
        Ok(())
    }

    async fn revocation(&self, report: &mut Report) -> Outcome {
        part("Revocation");
        let sender = self.sender.identity();
        self.rows.set_revoked(sender, true).await?;
        let look_up = async || self.sender.get_receipt(&stamp::new_ulid(), self.recipient.did()).await;
        let refused = look_up().await?;
        let right = refused.error_code() == Some("PROXY_AUTH_REVOKED");
        report.check("a revoked agent is refused at its next request", right, &seen(&refused));
        let socket = self.sender.connect().await.err().and_then(|error| error.status());
        report.check("and gets no socket", socket == Some(401), &status(socket));
        self.rows.set_revoked(sender, false).await?;
        let answer = look_up().await?;
        report.check("it is let in again when that is taken back", answer.status == 404, &seen(&answer));
        Ok(())
    }
}

async fn plain_get(url: &str) -> Result<HttpAnswer, Box<dyn Error>> {
    Ok(HttpAnswer::read(http_client().get(url).send().await).await?)
}

fn is_health(answer: &HttpAnswer) -> bool {
    answer.status == 200
        && answer.json["status"] == "ok"
        && matches!(answer.json["version"], Value::String(_))
}

fn assert_status(answer: &HttpAnswer, status: u16) -> Outcome {
    if answer.status == status { Ok(()) } else { Err(format!("{status} expected, {}", seen(answer)).into()) }
}

/// The status of a refused handshake, for people.
fn status(refusal: Option<u16>) -> String {
    refusal.map_or_else(|| "opened, or not answered".to_owned(), |status| status.to_string())
}

fn seen(answer: &HttpAnswer) -> String {
    format!("{} {}", answer.status, answer.body)
}

fn problem<T, E: Error>(outcome: &Result<T, E>) -> String {
    outcome.as_ref().err().map_or_else(|| "something else".to_owned(), ToString::to_string)
}

const fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}
