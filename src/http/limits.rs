//! How many requests one buyer and one address may make.
//!
//! Both are buckets of the configuration; 0 means no limit. Generous by default: a flash sale from
//! behind one carrier's address must pass. WeChat's notifications and health checks are not
//! limited.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest as _, Sha256};

use super::client_address;
use crate::config::{Cidr, Server};

/// The buckets, shared by all workers.
pub struct Limits {
    /// By token; requests without one are limited by address alone.
    buyers: Option<DefaultKeyedRateLimiter<[u8; 32]>>,
    /// By the client's address; of IPv6 the first 64 bits, which belong to one customer.
    addresses: Option<DefaultKeyedRateLimiter<IpAddr>>,
    trusted_proxies: Vec<Cidr>,
    clock: DefaultClock,
}

impl Limits {
    pub fn new(server: &Server) -> Self {
        let quota = |per_second, burst| {
            let per_second = Quota::per_second(NonZeroU32::new(per_second)?);
            Some(per_second.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
        };
        let buyers = quota(server.buyer_requests_per_second, server.buyer_burst);
        let addresses = quota(server.address_requests_per_second, server.address_burst);
        Self {
            buyers: buyers.map(RateLimiter::keyed),
            addresses: addresses.map(RateLimiter::keyed),
            trusted_proxies: server.trusted_proxies.clone(),
            clock: DefaultClock::default(),
        }
    }

    /// Forgets buckets that are full again; called now and then, so that memory stays bounded.
    pub fn forget_idle(&self) {
        if let Some(buyers) = &self.buyers {
            buyers.retain_recent();
        }
        if let Some(addresses) = &self.addresses {
            addresses.retain_recent();
        }
    }

    /// Counts a request. The error is for how many seconds no further one passes.
    fn count(&self, request: &ServiceRequest) -> Result<(), u64> {
        let now = self.clock.now();
        let wait = |until: governor::NotUntil<_>| until.wait_time_from(now).as_secs() + 1;
        let client =
            client_address::of(request.peer_addr(), request.headers(), &self.trusted_proxies);
        if let (Some(addresses), Some(client)) = (&self.addresses, client) {
            addresses.check_key(&network(client)).map_err(wait)?;
        }
        let token = request.headers().get(header::AUTHORIZATION);
        if let (Some(buyers), Some(token)) = (&self.buyers, token) {
            let token: [u8; 32] = Sha256::digest(token.as_bytes()).into();
            buyers.check_key(&token).map_err(wait)?;
        }
        Ok(())
    }
}

/// Middleware: lets a request pass, or answers 429 with Retry-After. Bare;
/// [`super::error::problems`] dresses it.
pub async fn enforce<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let limits = request.app_data::<Data<Limits>>();
    if let Some(Err(seconds)) = limits.map(|limits| limits.count(&request)) {
        let retry_after = (header::RETRY_AFTER, seconds.to_string());
        let refusal = HttpResponse::TooManyRequests().insert_header(retry_after).finish();
        return Ok(request.into_response(refusal).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, web};

    use super::*;
    use crate::http::error::problems;

    fn server(buyer_burst: u32, address_burst: u32) -> Server {
        Server {
            buyer_requests_per_second: buyer_burst.min(1),
            buyer_burst,
            address_requests_per_second: address_burst.min(1),
            address_burst,
            ..Server::default()
        }
    }

    /// How each of these requests (token, address) is answered.
    async fn answers(server: Server, requests: &[(&str, &str)]) -> Vec<u16> {
        let limits = Data::new(Limits::new(&server));
        let app = App::new()
            .app_data(limits.clone())
            .wrap(from_fn(enforce))
            .wrap(from_fn(problems))
            .route("/", web::get().to(|| async { "hello" }));
        let app = init_service(app).await;
        let mut statuses = Vec::new();
        for (token, address) in requests {
            let mut request =
                TestRequest::get().peer_addr(format!("{address}:80").parse().unwrap());
            if !token.is_empty() {
                request = request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")));
            }
            let response = call_service(&app, request.to_request()).await;
            statuses.push(response.status().as_u16());
            if response.status() == 429 {
                assert!(response.headers().contains_key(header::RETRY_AFTER));
                let body: serde_json::Value = read_body_json(response).await;
                assert_eq!(body["code"], "rate_limited");
            }
        }
        limits.forget_idle();
        statuses
    }

    #[actix_web::test]
    async fn one_buyer_is_limited_whatever_the_address() {
        let requests = [("a", "1.1.1.1"), ("a", "2.2.2.2"), ("a", "3.3.3.3"), ("b", "1.1.1.1")];
        assert_eq!(answers(server(2, 0), &requests).await, [200, 200, 429, 200]);
        let anonymous = [("", "1.1.1.1"), ("", "1.1.1.1"), ("", "1.1.1.1")];
        assert_eq!(answers(server(2, 0), &anonymous).await, [200, 200, 200]);
    }

    #[actix_web::test]
    async fn one_address_is_limited_whatever_the_token() {
        let requests = [("a", "1.1.1.1"), ("", "1.1.1.1"), ("c", "1.1.1.1"), ("c", "2.2.2.2")];
        assert_eq!(answers(server(0, 2), &requests).await, [200, 200, 429, 200]);
        let v6 = [("", "[2001:db8::1]"), ("", "[2001:db8::2]"), ("", "[2001:db8:0:1::1]")];
        assert_eq!(answers(server(0, 1), &v6).await, [200, 429, 200]);
    }

    #[actix_web::test]
    async fn zero_is_no_limit() {
        let requests = [("a", "1.1.1.1"); 5];
        assert_eq!(answers(server(0, 0), &requests).await, [200; 5]);
    }
}
