//! How many requests one buyer and one address may make.
//!
//! Both are buckets of the configuration; 0 means no limit. Generous by default: a flash sale from
//! behind one carrier's address must pass. WeChat's notifications and health checks are not
//! limited.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use actix_governor::governor::NotUntil;
use actix_governor::governor::clock::{Clock, DefaultClock, QuantaInstant};
use actix_governor::governor::middleware::NoOpMiddleware;
use actix_governor::{Governor, GovernorConfig, GovernorConfigBuilder, KeyExtractor};
use actix_web::dev::ServiceRequest;
use actix_web::http::header;
use actix_web::middleware::Condition;
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::client_address;
use super::error::ApiError;
use crate::config::{Cidr, Server};

type Limit<K> = GovernorConfig<K, NoOpMiddleware>;

/// The buckets, shared by all workers.
pub struct Limits {
    buyers: Limit<ByBuyer>,
    addresses: Limit<ByAddress>,
    buyers_limited: bool,
    addresses_limited: bool,
}

impl Limits {
    pub fn new(server: &Server) -> Self {
        let by_address = ByAddress(server.trusted_proxies.clone().into());
        Self {
            buyers: limit(ByBuyer, server.buyer_requests_per_second, server.buyer_burst),
            addresses: limit(by_address, server.address_requests_per_second, server.address_burst),
            buyers_limited: server.buyer_requests_per_second > 0,
            addresses_limited: server.address_requests_per_second > 0,
        }
    }

    /// Middleware: the buyer's bucket.
    pub fn buyers(&self) -> Condition<Governor<ByBuyer, NoOpMiddleware>> {
        Condition::new(self.buyers_limited, Governor::new(&self.buyers))
    }

    /// Middleware: the address's bucket.
    pub fn addresses(&self) -> Condition<Governor<ByAddress, NoOpMiddleware>> {
        Condition::new(self.addresses_limited, Governor::new(&self.addresses))
    }

    /// Forgets buckets that are full again; called now and then, so that memory stays bounded.
    pub fn forget_idle(&self) {
        self.buyers.limiter().retain_recent();
        self.addresses.limiter().retain_recent();
    }
}

fn limit<K: KeyExtractor>(key: K, per_second: u32, burst: u32) -> Limit<K> {
    let config = GovernorConfigBuilder::default()
        .key_extractor(key)
        .requests_per_second(per_second.max(1).into())
        .burst_size(burst.max(1))
        .finish();
    config.expect("a rate and a burst of at least 1 make a bucket")
}

/// By token; requests without one share no bucket and are limited by address alone.
#[derive(Clone)]
pub struct ByBuyer;

impl KeyExtractor for ByBuyer {
    type Key = Option<[u8; 32]>;
    type KeyExtractionError = ApiError;

    fn extract(&self, request: &ServiceRequest) -> Result<Self::Key, ApiError> {
        use sha2::{Digest, Sha256};
        let token = request.headers().get(header::AUTHORIZATION);
        Ok(token.map(|token| Sha256::digest(token.as_bytes()).into()))
    }

    fn whitelisted_keys(&self) -> Vec<Self::Key> {
        vec![None]
    }

    fn exceed_rate_limit_response(
        &self,
        negative: &NotUntil<QuantaInstant>,
        response: HttpResponseBuilder,
    ) -> HttpResponse {
        too_many(negative, response)
    }
}

/// By the client's address; of IPv6 the first 64 bits, which belong to one customer.
#[derive(Clone)]
pub struct ByAddress(Arc<[Cidr]>);

impl KeyExtractor for ByAddress {
    type Key = Option<IpAddr>;
    type KeyExtractionError = ApiError;

    fn extract(&self, request: &ServiceRequest) -> Result<Self::Key, ApiError> {
        let client = client_address::of(request.peer_addr(), request.headers(), &self.0);
        Ok(client.map(network))
    }

    fn exceed_rate_limit_response(
        &self,
        negative: &NotUntil<QuantaInstant>,
        response: HttpResponseBuilder,
    ) -> HttpResponse {
        too_many(negative, response)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// Bare; [`super::error::problems`] dresses it.
fn too_many(negative: &NotUntil<QuantaInstant>, mut response: HttpResponseBuilder) -> HttpResponse {
    let wait = negative.wait_time_from(DefaultClock::default().now());
    response.insert_header((header::RETRY_AFTER, (wait.as_secs() + 1).to_string())).finish()
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
        let limits = Limits::new(&server);
        let app = App::new()
            .wrap(limits.buyers())
            .wrap(limits.addresses())
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
