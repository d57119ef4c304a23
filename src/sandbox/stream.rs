//! Messages as server-sent events, so that a page shows them as they arrive.
//!
//! A stream starts with the messages after `Last-Event-ID` (all of them without one), so that a
//! page that reconnects misses none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;

use super::control::Control;
use super::mail::Message;

/// How many streams are open at once.
const STREAMS_MAX: usize = 64;
/// How many messages are taken from the list at once.
const CHUNK: usize = 100;
/// How long an idle stream stays silent, so that a dead connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many streams are open.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<AtomicUsize>);

/// A place among the open streams, given back when dropped.
struct Seat(Streams);

impl Streams {
    fn take(&self) -> Option<Seat> {
        let room = |open: usize| (open < STREAMS_MAX).then_some(open + 1);
        let taken = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room);
        taken.ok().map(|_| Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    appid: Option<String>,
    buyer: Option<String>,
}

struct Feed {
    control: Control,
    query: StreamQuery,
    last: u64,
    ready: VecDeque<Message>,
    greeted: bool,
    _seat: Seat,
}

impl Feed {
    /// The next event, or a comment when nothing has come for a while.
    async fn next(&mut self) -> Bytes {
        if !self.greeted {
            // The headers go out with the first bytes; the page learns that it is connected.
            self.greeted = true;
            return Bytes::from_static(b": connected\n\n");
        }
        if self.ready.is_empty() {
            let (appid, buyer) = (self.query.appid.as_deref(), self.query.buyer.as_deref());
            let news = self.control.wait_for_news(HEARTBEAT, self.last, appid, buyer, CHUNK).await;
            self.ready.extend(news);
        }
        match self.ready.pop_front() {
            Some(message) => {
                self.last = message.id;
                event(&message)
            }
            None => Bytes::from_static(b": still here\n\n"),
        }
    }
}

fn event(message: &Message) -> Bytes {
    let json = serde_json::to_string(message).unwrap_or_default();
    Bytes::from(format!("event: message\nid: {}\ndata: {json}\n\n", message.id))
}

/// GET /sandbox/messages/stream
pub(super) async fn messages(
    control: Data<Control>,
    streams: Data<Streams>,
    query: Query<StreamQuery>,
    request: HttpRequest,
) -> HttpResponse {
    let Some(seat) = streams.take() else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let last = request.headers().get("Last-Event-ID");
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let feed = Feed {
        control: control.as_ref().clone(),
        query: query.into_inner(),
        last: last.unwrap_or(0),
        ready: VecDeque::new(),
        greeted: false,
        _seat: seat,
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let bytes = feed.next().await;
        Some((Ok::<_, actix_web::Error>(bytes), feed))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        .streaming(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_limited_and_their_places_come_back() {
        let streams = Streams::default();
        let seats: Vec<_> = (0..STREAMS_MAX).map(|_| streams.take()).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(streams.take().is_none());
        drop(seats);
        assert!(streams.take().is_some());
    }
}
