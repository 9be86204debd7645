//! P5 to P9: a receipt, from its POST to its frame, and the sockets that frames go to.

use crate::Result;
use crate::aws::Scene;
use crate::events::{Cast, Fault};
use crate::figures::{Figure, Kind, Unit, number};
use crate::function::Workshop;
use crate::loads::{BATCH, Loads};
use crate::measure::{Expected, Load, PerEvent, per_event};

/// What everything on the main path costs.
pub(super) struct MainPath {
    pub(super) receipt: PerEvent,
    pub(super) consumer: PerEvent,
    pub(super) lone_message: PerEvent,
    pub(super) heartbeat: PerEvent,
    pub(super) handshake: PerEvent,
    pub(super) connect: PerEvent,
}

pub(super) async fn measure(
    workshop: &Workshop,
    cast: &Cast,
    loads: &Loads<'_>,
) -> Result<(MainPath, Vec<Figure>)> {
    let all = MainPath {
        receipt: per_event(workshop, cast, &loads.receipt()).await?,
        consumer: per_event(workshop, cast, &loads.consumer()).await?,
        lone_message: per_event(workshop, cast, &loads.lone_message()).await?,
        heartbeat: per_event(workshop, cast, &loads.heartbeat()).await?,
        handshake: per_event(workshop, cast, &loads.handshake()).await?,
        connect: per_event(workshop, cast, &loads.connect()).await?,
    };
    let over_tls = loads.receipt().in_scene(Scene { over_tls: true, ..Scene::default() });
    let over_tls = per_event(workshop, cast, &over_tls).await?;
    let mut figures = receipt_figures(&all.receipt, &over_tls);
    figures.extend(consumer_figures(&all.consumer));
    figures.extend(socket_figures(&all));
    Ok((all, figures))
}

/// P6: what a stranger can have us compute.
pub(super) async fn refusals(workshop: &Workshop, cast: &Cast) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (fault, subject, ceiling) in [
        (Fault::NoToken, "no token", 200e3),
        (Fault::Timestamp, "bad header", 200e3),
        (Fault::AitSignature, "bad token", 700e3),
        (Fault::Proof, "bad proof", 1.1e6),
    ] {
        let event = |_| cast.post_with(fault);
        let load = Load::new("receipt", &event, Expected::Refused(fault.error_code()));
        let refused = per_event(workshop, cast, &load).await?;
        let what = "instructions of a refused receipt";
        let figure = Figure::instructions(format!("P6 {subject}"), what, refused.instructions);
        figures.extend(figure.map(|figure| figure.within(ceiling)));
    }
    Ok(figures)
}

/// P5 and P8.
fn receipt_figures(receipt: &PerEvent, over_tls: &PerEvent) -> Vec<Figure> {
    let figures = [
        Figure::instructions("P5 receipt", "instructions of an accepted receipt", receipt.instructions)
            .map(|figure| figure.within(2.4e6).aiming_at(1.9e6)),
        sha256_figure("P5 receipt", receipt.sha256),
        Figure::instructions("P5 over TLS", "the same, as with AWS", over_tls.instructions)
            .map(|figure| figure.of_kind(Kind::Read)),
        Some(
            Figure::calls("P8 receipt", "AWS calls of an accepted receipt", receipt.aws_calls())
                .within(3.1)
                .aiming_at(3.0),
        ),
        Some(Figure::calls(
            "P8 receipt units",
            "read units of an accepted receipt",
            receipt.sum(|calls| calls.read_units),
        )),
        Some(Figure::counted(
            "P8 receipt bytes",
            "sent to AWS per accepted receipt",
            receipt.sum(|calls| calls.bytes_sent),
            Unit::Bytes,
        )),
    ];
    figures.into_iter().flatten().collect()
}

/// P7 and P8, per receipt.
fn consumer_figures(consumer: &PerEvent) -> Vec<Figure> {
    let share = |value: f64| value / number(BATCH.try_into().unwrap_or(u64::MAX));
    let figures = [
        Figure::instructions(
            "P7 consumer",
            "instructions per receipt of a batch of 10",
            consumer.instructions.map(share),
        )
        .map(|figure| figure.within(900e3).aiming_at(800e3)),
        sha256_figure("P7 consumer", consumer.sha256.map(share)),
        Some(
            Figure::calls(
                "P8 consumer",
                "AWS calls per receipt of a batch of 10",
                share(consumer.aws_calls()),
            )
            .within(2.1)
            .aiming_at(2.1),
        ),
        Some(Figure::calls(
            "P8 consumer units",
            "read units per receipt of a batch of 10",
            share(consumer.sum(|calls| calls.read_units)),
        )),
        Some(Figure::counted(
            "P8 consumer bytes",
            "sent to AWS per receipt of a batch of 10",
            share(consumer.sum(|calls| calls.bytes_sent)),
            Unit::Bytes,
        )),
    ];
    figures.into_iter().flatten().collect()
}

/// How much is hashed: the figure `of` has a twentieth of it, and would hardly show that it has doubled.
fn sha256_figure(of: &str, value: Option<f64>) -> Option<Figure> {
    Figure::instructions(format!("{of} SHA"), "SHA-256 in it, in software", value)
}

/// P9, and what a handshake costs.
fn socket_figures(all: &MainPath) -> Vec<Figure> {
    let MainPath { heartbeat, handshake, connect, .. } = all;
    let figures = [
        Figure::instructions("P9 heartbeat", "instructions of a heartbeat", heartbeat.instructions)
            .map(|figure| figure.within(200e3)),
        Some(
            Figure::calls("P9 heartbeat calls", "AWS calls of a heartbeat", heartbeat.aws_calls())
                .within(0.0),
        ),
        Figure::instructions(
            "P5 handshake",
            "instructions of an authorised handshake",
            handshake.instructions,
        ),
        Some(Figure::calls("P8 handshake", "AWS calls of an authorised handshake", handshake.aws_calls())),
        Figure::instructions("P5 connect", "instructions of $connect", connect.instructions),
        Some(Figure::calls("P8 connect", "AWS calls of $connect", connect.aws_calls())),
    ];
    figures.into_iter().flatten().collect()
}
