//! What a person sees and does.

use acceptance::connector::Status;
use acceptance::eventually::{PATIENCE, eventually};
use acceptance::load::QueuedReceipt;
use thirtyfour::error::WebDriverError;
use thirtyfour::{By, Key, WebElement};

use super::browser::Browser;
use super::{bury, dead_letters};
use crate::fixture::Duo;

/// The element that `selector` finds, once it is there and says `text`.
async fn says(browser: &Browser, selector: &str, text: &str) -> WebElement {
    eventually(&format!("{selector} that says {text:?}"), async || {
        let element = browser.driver.find(By::Css(selector)).await.map_err(|problem| problem.to_string())?;
        let seen = element.text().await.map_err(|problem| problem.to_string())?;
        if seen.contains(text) { Ok(element) } else { Err(seen) }
    })
    .await
}

async fn open_for(browser: &Browser, duo: &Duo) {
    browser.driver.goto(&duo.stack.page_url).await.unwrap();
    says(browser, "#live", "live").await;
    let find = browser.driver.find(By::Css("#find-text")).await.unwrap();
    find.send_keys(duo.sender.did()).await.unwrap();
}

/// Presses a button of a dead letter until it is on its way: another test may have the letter in its hands.
async fn until_redriven(browser: &Browser, request_id: &str, press: impl AsyncFn(&WebElement)) {
    let button = format!("button[aria-label='Redrive receipt {request_id}']");
    eventually("a redriven letter", async || {
        let said = browser.driver.find(By::Css("#said")).await.unwrap().text().await.unwrap();
        if said.contains("Redriven") && said.contains(request_id) {
            return Ok(());
        }
        if let Ok(button) = browser.driver.find(By::Css(&button)).await
            && button.is_enabled().await.unwrap_or_default()
        {
            press(&button).await;
        }
        Err(said)
    })
    .await;
}

#[tokio::test]
async fn a_person_follows_a_receipt_and_redrives_dead_letters() {
    let duo = Duo::paired().await;
    let mut session = duo.sender.connect().await.unwrap();
    let live = duo.receipt(Status::DeliveredToWebhook, None);
    let dead = [(); 2].map(|()| duo.receipt(Status::DeliveredToWebhook, None));
    for receipt in &dead {
        bury(
            &duo.stack,
            &QueuedReceipt::accepted_now(receipt).body(),
            &format!("page-{}", receipt.request_id),
        )
        .await;
    }
    let browser = Browser::open(1280, 900).await;
    open_for(&browser, &duo).await;
    says(&browser, "#agents-list", "connected").await;
    says(&browser, "#dead-total", "2").await;
    says(&browser, ".receipt[data-stage='dead']", "frame_too_large").await;

    // It comes while somebody looks.
    duo.recipient.post_receipt(&live).await.unwrap();
    let row = says(&browser, ".receipt[data-stage='pushed']", &live.request_id).await;
    row.find(By::Css("summary")).await.unwrap().click().await.unwrap();
    says(&browser, ".receipt[open] dl", duo.recipient.did()).await;

    // Once with the mouse and once with the keyboard, from where the first redrive has left the focus.
    until_redriven(&browser, &dead[0].request_id, async |button| {
        // A letter that is taken meanwhile takes its button along.
        drop(button.click().await);
    })
    .await;
    until_redriven(&browser, &dead[1].request_id, async |button| {
        let focused = browser.driver.active_element().await.unwrap();
        assert_eq!(focused.element_id(), button.element_id(), "focus goes on to the next letter");
        focused.send_keys(Key::Enter + "").await.unwrap();
    })
    .await;
    says(&browser, "#dead-empty", "No dead letters").await;

    let mut arrived: Vec<_> = Vec::new();
    for _ in 0..3 {
        arrived.push(session.next_receipt(PATIENCE).await.unwrap().frame.original_frame_id);
    }
    assert_eq!(arrived.remove(0), live.request_id);
    arrived.sort();
    let mut expected: Vec<_> = dead.iter().map(|receipt| receipt.request_id.clone()).collect();
    expected.sort();
    assert_eq!(arrived, expected, "each once");
    assert!(dead_letters(&duo.stack, duo.sender.did()).await.is_empty());
    says(&browser, "#receipts-total", "3").await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn it_fits_a_phone_and_every_control_has_a_name() {
    let duo = Duo::paired().await;
    let away = duo.receipt(Status::DeadLettered, Some(&"a long reason ".repeat(20)));
    duo.recipient.post_receipt(&away).await.unwrap();
    let letter = duo.receipt(Status::DeliveredToWebhook, None);
    bury(&duo.stack, &QueuedReceipt::accepted_now(&letter).body(), &"c".repeat(120)).await;
    let browser = Browser::open(1280, 900).await;
    browser.narrow_to(360).await;
    open_for(&browser, &duo).await;
    says(&browser, ".receipt[data-stage='waiting']", &away.request_id).await;
    says(&browser, "#mailbox-list", "1 receipt").await;
    says(&browser, "#dead-list", "buried by a test").await;
    eventually("a letter that is opened", async || {
        // A letter that is drawn anew meanwhile takes its summary along.
        let click = async { browser.driver.find(By::Css(".letter summary")).await?.click().await };
        click.await.map_err(|problem: WebDriverError| problem.to_string())
    })
    .await;

    let measure = "const root = document.documentElement; return root.scrollWidth - root.clientWidth;";
    let beyond = browser.driver.execute(measure, Vec::new()).await.unwrap();
    assert_eq!(beyond.json(), 0, "nothing is wider than the screen");
    let nameless = "return [...document.querySelectorAll('button, input, a, summary')].filter((control) => \
        !(control.getAttribute('aria-label') ?? control.labels?.[0]?.textContent ?? control.textContent).trim()) \
        .map((control) => control.outerHTML);";
    let nameless = browser.driver.execute(nameless, Vec::new()).await.unwrap();
    assert_eq!(nameless.json(), &serde_json::json!([]));
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}
