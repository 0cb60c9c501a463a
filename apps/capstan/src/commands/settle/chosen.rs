//! What `capstan settle` settles, and what it leaves alone and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use capstan_base::{ChainId, SessionId};
use capstan_chain::{ChainClient, ChainError};
use capstan_host::offline::{Unsettled, unsettled};
use capstan_host::settlement::claim_of;
use capstan_kit::causes;
use capstan_store::SessionStore;
use serde_json::json;

use crate::output::Output;

/// Sessions to settle, and the reasons of those that are left out.
#[derive(Default)]
pub struct Chosen {
    /// To settle; those of another machine are to be taken up first.
    pub sessions: Vec<Unsettled>,
    /// Sessions that are left out, though there may be something to claim.
    pub left_out: usize,
}

impl Chosen {
    /// The named session wherever it is served, or all that are served here or by a named machine.
    /// What others serve is told.
    pub async fn of(
        store: &dyn SessionStore,
        named: Option<SessionId>,
        machine: Option<&str>,
        output: &Output,
    ) -> Result<Self> {
        let mut chosen = Self::default();
        let mut elsewhere: BTreeMap<String, usize> = BTreeMap::new();
        for found in unsettled(store).await? {
            if named.is_some_and(|id| id != found.session.key.session_id) {
                continue;
            }
            match &found.served_by {
                Some(by) if named.is_none() && machine != Some(by.as_str()) => {
                    if !claim_of(&found.session).is_zero() {
                        let count = elsewhere.entry(by.clone()).or_default();
                        *count = count.saturating_add(1);
                    }
                }
                _ => chosen.sessions.push(found),
            }
        }
        for (by, count) in elsewhere {
            let text = format!(
                "{count} with something to claim are served by the machine {by}, which settles them \
                 itself; if it is gone for good: `capstan settle --all --of-machine {by}`"
            );
            chosen.left_out = chosen.left_out.saturating_add(count);
            let value = json!({ "event": "left_out", "machine": by, "sessions": count });
            output.answer(text, &value);
        }
        Ok(chosen)
    }

    /// Leaves out what cannot be sent: sessions of chains that are not configured, or are not what
    /// the configuration says. A chain that does not answer is waited for. Gives the others' chains.
    pub async fn on_chains(
        &mut self,
        mut chains: BTreeMap<ChainId, Arc<ChainClient>>,
        output: &Output,
    ) -> BTreeMap<ChainId, Arc<ChainClient>> {
        let mut wanted: BTreeMap<ChainId, usize> = BTreeMap::new();
        for found in &self.sessions {
            let count = wanted.entry(found.session.key.chain_id).or_default();
            *count = count.saturating_add(1);
        }
        chains.retain(|id, _| wanted.contains_key(id));
        for (id, count) in wanted {
            let why = match chains.get(&id) {
                None => "which is not configured any more: configure it".to_owned(),
                Some(chain) => match unfit(chain, output).await {
                    None => continue,
                    Some(why) => why,
                },
            };
            chains.remove(&id);
            self.sessions.retain(|found| found.session.key.chain_id != id);
            self.left_out = self.left_out.saturating_add(count);
            let value = json!({
                "event": "left_out", "chain_id": id, "sessions": count, "why": why,
            });
            output.answer(format!("{count} left out, of chain {id}, {why}"), &value);
        }
        chains
    }
}

/// Why a chain is not to be sent to.
async fn unfit(chain: &ChainClient, output: &Output) -> Option<String> {
    let findings = chain.verify().await.err()?;
    let words: Vec<_> = findings.iter().map(|finding| causes(finding)).collect();
    let words = words.join("; ");
    if findings.iter().all(ChainError::is_retryable) {
        output.progress(format!("chain {}: {words}", chain.config().title));
        return None;
    }
    Some(format!("which is not what the configuration says: {words}"))
}

#[cfg(test)]
mod tests {
    use capstan_base::{
        Address, Amount, B256, ModelId, Price, SessionKey, SessionTerms, Signature65,
        SignedVoucher, Tally, UnixSeconds,
    };
    use capstan_chain::ChainRegistry;
    use capstan_store::{NewSession, PgStore, Store};

    use super::*;

    const BASE_SEPOLIA: ChainId = ChainId(84532);

    /// A session with a token signed for, as a host stores it.
    async fn served(store: &dyn SessionStore, chain_id: ChainId, salt: u8) -> SessionId {
        let terms = SessionTerms {
            host: Address::repeat_byte(0xaa),
            renter: Address::repeat_byte(0xcc),
            token: Address::ZERO,
            deposit: Amount::MAX,
            expiry: UnixSeconds::MAX,
            voucher_key: Address::repeat_byte(0xdd),
            model: ModelId(B256::ZERO),
            salt: B256::repeat_byte(salt),
        };
        let (marketplace, session_id) = (Address::repeat_byte(0xee), terms.id());
        let key = SessionKey { chain_id, marketplace, session_id };
        let price = Price { input: Amount::MAX, output: Amount::MAX };
        let opened_at = UnixSeconds::default();
        let new = NewSession { key, terms, price, opened_at, admitted_block: 1 };
        store.insert_session(new).await.unwrap();
        let mut tally = Tally::new(price);
        tally.push_input(1, b"a");
        let voucher = tally.voucher(session_id).unwrap();
        let signed = SignedVoucher { voucher, signature: Signature65(vec![1; 65].into()) };
        store.record_voucher(key, &signed, &tally.state()).await.unwrap();
        session_id
    }

    fn ids(chosen: &Chosen) -> Vec<SessionId> {
        chosen.sessions.iter().map(|found| found.session.key.session_id).collect()
    }

    #[tokio::test]
    async fn what_another_machine_serves_is_told_and_taken_only_if_asked_for() {
        let Some(server) = capstan_test_postgres::start() else { return };
        let url = server.database("capstan").parse().unwrap();
        let gone = PgStore::connect(&url, "gone").await.unwrap();
        let here = PgStore::connect(&url, "here").await.unwrap();
        let (left, own) =
            (served(&gone, BASE_SEPOLIA, 1).await, served(&here, BASE_SEPOLIA, 2).await);
        let output = Output::new(true);
        let all = Chosen::of(&here, None, None, &output).await.unwrap();
        assert_eq!((ids(&all), all.left_out), (vec![own], 1));
        let both = Chosen::of(&here, None, Some("gone"), &output).await.unwrap();
        assert_eq!((ids(&both), both.left_out), (vec![own, left], 0));
        assert_eq!(both.sessions[1].served_by.as_deref(), Some("gone"));
        let named = Chosen::of(&here, Some(left), None, &output).await.unwrap();
        assert_eq!((ids(&named), named.left_out), (vec![left], 0));
        assert!(Chosen::of(&here, None, Some("other"), &output).await.unwrap().left_out == 1);
    }

    #[tokio::test]
    async fn a_chain_that_is_not_to_be_sent_to_stops_no_other() {
        let store = Store::open_in_memory().unwrap();
        let known = served(&store, BASE_SEPOLIA, 1).await;
        served(&store, ChainId(1234), 2).await;
        let set = |name: &str| match name {
            "BASE_SEPOLIA_RPC_URL" => Some("http://127.0.0.1:1".to_owned()),
            "BASE_SEPOLIA_JOB_MARKETPLACE" => Some(Address::repeat_byte(0xee).to_string()),
            "BASE_SEPOLIA_NODE_REGISTRY" => Some(Address::repeat_byte(0xef).to_string()),
            _ => None,
        };
        let registry = ChainRegistry::load(&toml::Table::new(), set).unwrap();
        let clients = |urls: &str| {
            let mut config = registry.get(BASE_SEPOLIA).unwrap().clone();
            config.rpc_urls = vec![urls.parse().unwrap()];
            BTreeMap::from([(BASE_SEPOLIA, Arc::new(ChainClient::connect(config)))])
        };
        let output = Output::new(true);
        // One that is down is waited for.
        let mut chosen = Chosen::of(&store, None, None, &output).await.unwrap();
        let chains = chosen.on_chains(clients("http://127.0.0.1:1"), &output).await;
        assert_eq!((ids(&chosen), chosen.left_out, chains.len()), (vec![known], 1, 1));
        // One that is another chain is not.
        let url = another_chain().await;
        let mut chosen = Chosen::of(&store, None, None, &output).await.unwrap();
        let chains = chosen.on_chains(clients(&url), &output).await;
        assert_eq!((ids(&chosen), chosen.left_out, chains.len()), (vec![], 2, 0));
    }

    /// An endpoint that says it is chain 1, and nothing else.
    async fn another_chain() -> String {
        let answer = async |axum::Json(asked): axum::Json<serde_json::Value>| {
            let id = &asked["id"];
            axum::Json(match asked["method"].as_str() {
                Some("eth_chainId") => json!({ "jsonrpc": "2.0", "id": id, "result": "0x1" }),
                _ => json!({
                    "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no" },
                }),
            })
        };
        let app = axum::Router::new().route("/", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}
