//! `millstream ledger …` and `millstream discard …`: what happened, and what was given up.

use super::error::CliError;
use super::names::{Kind, short};
use super::output::{Columns, Format};
use super::paging;
use super::session::{Session, SessionArgs};
use super::when;
use clap::{Args, Subcommand};
use millstream_api::v1;

const LEDGER: Columns = Columns {
    narrow: &[
        "STARTED", "SHARD", "LANE", "ATTEMPT", "RECORDS", "FINISHED", "RESULT", "TOOK", "AGE", "ERROR",
    ],
    wide: &["FIRST", "LAST", "REQUEST-ID", "MESSAGES"],
};
/// Most messages of an attempt that a table shows.
const MOST_MESSAGES: usize = 10;
const DISCARDS: Columns = Columns {
    narrow: &[
        "ID",
        "GIVEN-UP",
        "SHARD",
        "RECORDS",
        "CONDITION",
        "INVOKES",
        "FIRST",
        "LAST",
        "DOCUMENT",
    ],
    wide: &["FUNCTION", "SOURCE", "ARRIVED", "REQUEST-ID", "ERROR"],
};

/// Everything behind `millstream ledger`.
#[derive(Args, Debug)]
pub(crate) struct LedgerArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: LedgerVerb,
}

#[derive(Subcommand, Debug)]
enum LedgerVerb {
    /// Show the attempts of a mapping, by shard, oldest first.
    #[command(visible_alias = "ls")]
    List(OfMapping),
}

/// Everything behind `millstream discard`.
#[derive(Args, Debug)]
pub(crate) struct DiscardArgs {
    #[command(flatten)]
    session: SessionArgs,
    #[command(subcommand)]
    verb: DiscardVerb,
}

#[derive(Subcommand, Debug)]
enum DiscardVerb {
    /// Show what a mapping gave up, oldest first.
    #[command(visible_alias = "ls")]
    List(OfMapping),
    /// Show one discard; its payload is the event that the function would have got.
    Get(GetDiscard),
}

#[derive(Args, Debug)]
struct OfMapping {
    /// Which mapping; of one that is gone, its uid.
    mapping: String,
    /// Most to show; 0: all.
    #[arg(long, default_value_t = 500)]
    limit: usize,
}

#[derive(Args, Debug)]
struct GetDiscard {
    /// Which.
    id: String,
    /// Print the payload only, as it is.
    #[arg(long)]
    payload: bool,
}

/// Runs `millstream ledger`.
///
/// # Errors
/// What it could not do.
pub(crate) async fn ledger(args: LedgerArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    let LedgerVerb::List(of) = args.verb;
    let parent = session.name(Kind::Mapping, &of.mapping)?;
    let (entries, more) = paging::collect(of.limit, |page_token| {
        let request = v1::ListLedgerEntriesRequest {
            parent: parent.clone(),
            page_size: paging::PAGE,
            page_token,
        };
        let request = session.request(request);
        let mut client = session.ledger();
        async move {
            let page = client.list_ledger_entries(request).await?.into_inner();
            Ok((page.entries, page.next_page_token))
        }
    })
    .await?;
    let rows: Vec<_> = entries.iter().map(entry_row).collect();
    let response = v1::ListLedgerEntriesResponse {
        entries,
        next_page_token: String::new(),
    };
    let ids: Vec<&str> = response.entries.iter().map(|e| e.request_id.as_str()).collect();
    session.screen.show(&response, &ids, LEDGER, rows)?;
    tell_more(&mut session, more);
    Ok(())
}

/// Runs `millstream discard`.
///
/// # Errors
/// What it could not do.
pub(crate) async fn discard(args: DiscardArgs) -> Result<(), CliError> {
    let mut session = Session::open(&args.session).await?;
    match args.verb {
        DiscardVerb::List(of) => list_discards(&mut session, of).await,
        DiscardVerb::Get(which) => get_discard(&mut session, which).await,
    }
}

async fn list_discards(session: &mut Session, of: OfMapping) -> Result<(), CliError> {
    let parent = session.name(Kind::Mapping, &of.mapping)?;
    let (discards, more) = paging::collect(of.limit, |page_token| {
        let request = v1::ListDiscardsRequest {
            parent: parent.clone(),
            page_size: paging::PAGE,
            page_token,
        };
        let request = session.request(request);
        let mut client = session.discards();
        async move {
            let page = client.list_discards(request).await?.into_inner();
            Ok((page.discards, page.next_page_token))
        }
    })
    .await?;
    let rows: Vec<_> = discards.iter().map(discard_row).collect();
    let response = v1::ListDiscardsResponse {
        discards,
        next_page_token: String::new(),
    };
    let names: Vec<&str> = response.discards.iter().map(|d| d.name.as_str()).collect();
    session.screen.show(&response, &names, DISCARDS, rows)?;
    tell_more(session, more);
    Ok(())
}

async fn get_discard(session: &mut Session, which: GetDiscard) -> Result<(), CliError> {
    let request = session.request(v1::GetDiscardRequest {
        name: session.name(Kind::Discard, &which.id)?,
    });
    let discard = session.discards().get_discard(request).await?.into_inner();
    if which.payload {
        session.screen.bytes(&discard.payload)?;
        return session.screen.line("");
    }
    session
        .screen
        .show(&discard, &[&discard.name], DISCARDS, [discard_row(&discard)])?;
    if matches!(session.screen.format(), Format::Table | Format::Wide) {
        session.screen.line("")?;
        session.screen.line(&String::from_utf8_lossy(&discard.payload))?;
    }
    Ok(())
}

fn tell_more(session: &mut Session, more: bool) {
    if more {
        session.screen.note("there are more: raise --limit");
    }
}

fn entry_row(e: &v1::LedgerEntry) -> Vec<String> {
    let took = match (&e.start_time, &e.end_time) {
        (Some(start), Some(end)) => when::short(when::between(start, end)),
        _ => String::new(),
    };
    vec![
        when::stamp(e.start_time.as_ref()),
        if e.shard_id.is_empty() {
            "queue".to_owned()
        } else {
            e.shard_id.clone()
        },
        e.lane.to_string(),
        e.attempt.to_string(),
        e.record_count.to_string(),
        e.finished_count.to_string(),
        e.result()
            .as_str_name()
            .trim_start_matches("ATTEMPT_RESULT_")
            .to_owned(),
        took,
        when::short(when::std(e.age.as_ref())),
        e.error.clone(),
        e.first_sequence_number.clone(),
        e.last_sequence_number.clone(),
        e.request_id.clone(),
        messages(e),
    ]
}

/// Each message with its group and how often it was received; `!` marks those that come back.
fn messages(e: &v1::LedgerEntry) -> String {
    let one = |m: &v1::AttemptedMessage| {
        let group = if m.message_group_id.is_empty() { "" } else { "/" };
        let mark = if m.failed { "!" } else { "" };
        format!(
            "{}{group}{}:{}{mark}",
            m.message_group_id, m.message_id, m.receive_count
        )
    };
    let shown = e.messages.len().min(MOST_MESSAGES);
    let more = usize::try_from(e.record_count).unwrap_or(0).saturating_sub(shown);
    let rest = (!e.messages.is_empty() && more > 0).then(|| format!("+{more}"));
    let texts: Vec<String> = e.messages.iter().take(shown).map(one).chain(rest).collect();
    texts.join(" ")
}

fn discard_row(d: &v1::Discard) -> Vec<String> {
    vec![
        short(&d.name).to_owned(),
        when::stamp(d.discard_time.as_ref()),
        d.shard_id.clone(),
        d.record_count.to_string(),
        d.condition()
            .as_str_name()
            .trim_start_matches("DISCARD_CONDITION_")
            .to_owned(),
        d.invoke_count.to_string(),
        d.first_sequence_number.clone(),
        d.last_sequence_number.clone(),
        document(d),
        short(d.function_arn.rsplit(':').next().unwrap_or("")).to_owned(),
        short(&d.source_arn).to_owned(),
        when::stamp(d.first_arrival_time.as_ref()),
        d.request_id.clone(),
        d.delivery.as_ref().map_or_else(String::new, |d| d.error.clone()),
    ]
}

/// What became of the failure document: `NONE` without a destination, else its state with the attempts that failed.
fn document(d: &v1::Discard) -> String {
    let Some(delivery) = &d.delivery else {
        return "NONE".to_owned();
    };
    let state = delivery
        .state()
        .as_str_name()
        .trim_start_matches("DELIVERY_STATE_");
    match (delivery.state(), delivery.attempt_count) {
        (v1::DeliveryState::Delivered, _) | (_, 0) => state.to_owned(),
        (_, attempts) => format!("{state}({attempts})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_document_is_told_in_a_word() {
        let of = |state: v1::DeliveryState, attempt_count| v1::Discard {
            delivery: Some(v1::DiscardDelivery {
                state: state.into(),
                attempt_count,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(document(&v1::Discard::default()), "NONE");
        for (state, attempts, word) in [
            (v1::DeliveryState::Pending, 0, "PENDING"),
            (v1::DeliveryState::Pending, 3, "PENDING(3)"),
            (v1::DeliveryState::Delivered, 3, "DELIVERED"),
            (v1::DeliveryState::Failed, 40, "FAILED(40)"),
        ] {
            assert_eq!(document(&of(state, attempts)), word);
        }
    }

    #[test]
    fn messages_of_an_attempt_are_told_in_short() {
        let message = |id: &str, group: &str, failed| v1::AttemptedMessage {
            message_id: id.to_owned(),
            receive_count: 2,
            message_group_id: group.to_owned(),
            failed,
        };
        let mut entry = v1::LedgerEntry {
            messages: vec![message("a", "", false), message("b", "g", true)],
            record_count: 2,
            ..Default::default()
        };
        assert_eq!(messages(&entry), "a:2 g/b:2!");
        entry.messages = vec![message("a", "", false); 100];
        entry.record_count = 250;
        assert!(messages(&entry).ends_with("a:2 a:2 +240"));
    }

    #[test]
    fn rows_fit_their_columns() {
        let entry = v1::LedgerEntry {
            result: v1::AttemptResult::Split.into(),
            start_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            end_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 20_000_000,
            }),
            ..Default::default()
        };
        let cells = entry_row(&entry);
        assert_eq!(cells.len(), LEDGER.narrow.len() + LEDGER.wide.len());
        assert_eq!((cells[6].as_str(), cells[7].as_str()), ("SPLIT", "20ms"));
        assert_eq!((cells[1].as_str(), cells.last().unwrap().as_str()), ("queue", ""));
        let discard = v1::Discard {
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:totals".to_owned(),
            condition: v1::DiscardCondition::RecordAgeExceeded.into(),
            ..Default::default()
        };
        let cells = discard_row(&discard);
        assert_eq!(cells.len(), DISCARDS.narrow.len() + DISCARDS.wide.len());
        assert_eq!(
            (cells[4].as_str(), cells[9].as_str()),
            ("RECORD_AGE_EXCEEDED", "totals")
        );
    }
}
