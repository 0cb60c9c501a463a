//! Hosts that serve a model on a chain, best first.

use core::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use capstan_base::{Address, ModelId};
use capstan_chain::{ChainClient, ChainError};
use capstan_renter::choice::{Candidate, rank};
use capstan_renter::open::is_base_url;

use crate::output::Output;
use crate::rental::health;

/// Every host that takes sessions for a model in a token now, by price and record. What one of them wrote into the
/// registry that cannot be read leaves that one out, and no other.
pub async fn ranked(chain: &ChainClient, model: ModelId, token: Address) -> Result<Vec<Candidate>> {
    let mut serving = Vec::new();
    for host in chain.hosts_that_offered(model, token).await? {
        if chain.is_serving(host, model, token).await?
            && let Some(price) = readable(chain.price_of(host, model, token).await)?.flatten()
        {
            serving.push((host, price));
        }
    }
    let hosts: Vec<_> = serving.iter().map(|(host, _)| *host).collect();
    let scores = chain.scores_of(&hosts, token).await?;
    let mut candidates: Vec<_> = serving
        .into_iter()
        .zip(scores)
        .map(|((host, price), score)| Candidate { host, price, score })
        .collect();
    rank(&mut candidates);
    Ok(candidates)
}

/// Where a host says it listens, if that can be a place to go to and to print.
pub async fn endpoint_of(chain: &ChainClient, host: Address) -> Result<Option<String>> {
    let info = readable(chain.node_info(host).await)?.flatten();
    Ok(info.map(|info| info.endpoint).filter(|endpoint| is_base_url(endpoint)))
}

/// The best of them that answers and says that it takes sessions, and where it answered.
pub async fn choose(
    chain: &ChainClient,
    model: ModelId,
    token: Address,
    output: &Output,
) -> Result<(Candidate, String)> {
    let candidates = ranked(chain, model, token).await?;
    if candidates.is_empty() {
        bail!(
            "no host on {} serves this model for this token; name another token, chain or model",
            chain.config().title
        );
    }
    // Strangers wrote these: on a public chain none of them is a place inside the renter's own network.
    let inside = chain.config().rpc_urls.iter().all(capstan_chain::RpcUrl::is_local);
    let count = candidates.len();
    for candidate in candidates {
        let host = candidate.host;
        let endpoint = endpoint_of(chain, host).await?;
        let Some(url) = endpoint.filter(|url| inside || !is_inside(url)) else { continue };
        match health::answers(&url, chain.config()).await {
            Ok(()) => {
                output.progress(format!("host {host} at {url}"));
                return Ok((candidate, url));
            }
            Err(error) => output.progress(format!("not {host}: {error:#}")),
        }
    }
    bail!("none of {count} hosts takes a session now; nothing was paid in")
}

/// Nothing, where what was read makes no sense; an error, where it could not be read.
fn readable<T>(read: Result<T, ChainError>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ChainError::Inconsistent { .. }) => Ok(None),
        Err(error) => Err(error).context("reading the hosts"),
    }
}

/// Whether a URL names this machine or a private network by address. A name that resolves to one is not seen.
fn is_inside(url: &str) -> bool {
    let Ok(url) = url.parse::<reqwest::Url>() else { return true };
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some()
        }
        Err(_) => bare.is_empty() || bare == "localhost" || bare.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn places_inside_a_network_are_known_by_their_address() {
        for inside in [
            "http://127.0.0.1:9000",
            "http://localhost",
            "http://10.1.2.3",
            "http://192.168.0.1",
            "http://169.254.169.254",
            "http://0.0.0.0",
            "http://[::1]:1",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://[::ffff:127.0.0.1]",
            "http://2130706433",
            "nonsense",
        ] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in ["https://host.example", "http://8.8.8.8:8080", "http://[2001:db8::1]"] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
