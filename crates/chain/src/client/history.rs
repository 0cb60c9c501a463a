//! What events tell about the past of a session.

use alloy_primitives::U64;
use alloy_sol_types::SolEvent;
use capstan_base::{Address, B256, SessionId, SessionKey, SessionTerms};
use serde_json::json;

use crate::bindings::abi::JobMarketplace;
use crate::bindings::amount;
use crate::client::ChainClient;
use crate::client::raw::RawLog;
use crate::error::{ChainError, RpcError};
use crate::types::{BlockTag, CloseReason, Closing, Log, OpenedSession, Receipt};

/// Blocks per log query to begin with: most public endpoints allow at least this many.
const PAGE: u64 = 5_000;

/// A refusal in words that are not known is taken to be about the size of the range down to here.
/// One that is known to be is followed to a single block.
const SMALLEST_PAGE: u64 = 16;

impl ChainClient {
    /// How the session was settled, by the receipt of the transaction that closed it. A batch
    /// closes many; `None` if this session is not among them. The marketplace is the session's own,
    /// whichever is configured now.
    pub fn closing_in(
        &self,
        key: &SessionKey,
        receipt: &Receipt,
    ) -> Result<Option<Closing>, ChainError> {
        let closed = receipt.logs.iter().find(|log| {
            is_closing(log, key.marketplace) && log.data.topics().get(1) == Some(&key.session_id.0)
        });
        closed.map(|log| self.closing(log)).transpose()
    }

    /// How many sessions of a marketplace a transaction closed: its cost is theirs together.
    pub fn closings_in(&self, marketplace: Address, receipt: &Receipt) -> usize {
        receipt.logs.iter().filter(|log| is_closing(log, marketplace)).count()
    }

    /// Why an item of a batch failed alone, by the receipt of the batch; `None` if it did not.
    pub fn completion_failure_in(
        &self,
        id: SessionId,
        receipt: &Receipt,
    ) -> Result<Option<String>, ChainError> {
        let marketplace = self.marketplace()?;
        for log in receipt.logs.iter().filter(|log| log.address == marketplace) {
            match JobMarketplace::SessionCompletionFailed::decode_log_data(&log.data) {
                Ok(event) if event.sessionId == id.0 => {
                    return Ok(Some(crate::bindings::decode_revert(&event.reason)));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// How the session was settled, searched from a block up to the head. `None` means that no
    /// event was found, which by itself proves nothing: see the state of the session.
    pub async fn closing_of(
        &self,
        key: &SessionKey,
        from_block: u64,
    ) -> Result<Option<Closing>, ChainError> {
        let event = JobMarketplace::SessionClosed::SIGNATURE_HASH;
        let log = self.first_log(event, key.marketplace, key.session_id, from_block).await?;
        log.map(|log| self.closing(&log)).transpose()
    }

    /// Terms and fee of a session by its opening event, searched from a block up to the head.
    pub async fn opened_terms(
        &self,
        id: SessionId,
        from_block: u64,
    ) -> Result<Option<OpenedSession>, ChainError> {
        const OPERATION: &str = "reading an opening";
        let event = JobMarketplace::SessionOpened::SIGNATURE_HASH;
        let market = self.marketplace()?;
        let log = self.first_log(event, market, id, from_block).await?;
        let Some(log) = log else { return Ok(None) };
        let opened = JobMarketplace::SessionOpened::decode_log_data(&log.data)
            .map_err(|error| self.inconsistent(OPERATION, error))?;
        let terms = SessionTerms::from(opened.terms);
        if terms.id() != id {
            return Err(self.inconsistent(OPERATION, "the terms do not hash to the session's id"));
        }
        let Log { block_number, tx_hash, .. } = log;
        Ok(Some(OpenedSession { terms, fee_bps: opened.feeBps, block_number, tx_hash }))
    }

    fn closing(&self, log: &Log) -> Result<Closing, ChainError> {
        const OPERATION: &str = "reading a closing";
        let event = JobMarketplace::SessionClosed::decode_log_data(&log.data)
            .map_err(|error| self.inconsistent(OPERATION, error))?;
        let reason = CloseReason::try_from(event.reason)
            .map_err(|error| self.inconsistent(OPERATION, error))?;
        Ok(Closing {
            session_id: SessionId(event.sessionId),
            reason,
            token: event.token,
            host_paid: amount(event.hostPaid),
            fee: amount(event.fee),
            refund: amount(event.refund),
            tokens: event.tokens,
            transcript_root: event.transcriptRoot,
            tx_hash: log.tx_hash,
            block_number: log.block_number,
        })
    }

    async fn first_log(
        &self,
        event: B256,
        marketplace: Address,
        id: SessionId,
        from_block: u64,
    ) -> Result<Option<Log>, ChainError> {
        let mut first = None;
        self.search_logs(marketplace, &[Some(event), Some(id.0)], from_block, |log| {
            first = Some(log);
            false
        })
        .await?;
        Ok(first)
    }

    /// Hands over the logs of one contract from a block up to the head, in the chain's order, until
    /// `wants_more` says no.
    pub(super) async fn search_logs(
        &self,
        address: Address,
        topics: &[Option<B256>],
        from_block: u64,
        mut wants_more: impl FnMut(Log) -> bool,
    ) -> Result<(), ChainError> {
        let head = self.head(BlockTag::Latest).await?.number;
        let (mut from, mut page) = (from_block, PAGE);
        while from <= head {
            let to = from.saturating_add(page).saturating_sub(1).min(head);
            match self.logs(address, topics, from, to).await {
                Ok(logs) => {
                    for log in logs {
                        if !wants_more(log) {
                            return Ok(());
                        }
                    }
                    from = to.saturating_add(1);
                }
                Err(error) => match smaller(to.saturating_sub(from).saturating_add(1), &error) {
                    Some(smaller) => page = smaller,
                    None => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Logs of one contract in a range of blocks, both ends included, in the chain's order. `None`
    /// among the topics matches anything.
    pub async fn logs(
        &self,
        address: Address,
        topics: &[Option<B256>],
        from_block: u64,
        to_block: u64,
    ) -> Result<Vec<Log>, ChainError> {
        let filter = json!([{
            "address": address,
            "topics": topics,
            "fromBlock": U64::from(from_block),
            "toBlock": U64::from(to_block),
        }]);
        let logs: Vec<RawLog> = self
            .pool
            .call("eth_getLogs", filter)
            .await
            .map_err(|error| self.failed("reading logs", error))?;
        Ok(logs.into_iter().filter_map(RawLog::included).collect())
    }
}

fn is_closing(log: &Log, marketplace: Address) -> bool {
    let event = JobMarketplace::SessionClosed::SIGNATURE_HASH;
    log.address == marketplace && log.data.topics().first() == Some(&event)
}

/// Half the page, if the error is one that a smaller page gets around. Halving ends at one block, so
/// a search is at most a dozen requests longer for it.
fn smaller(page: u64, error: &ChainError) -> Option<u64> {
    let ChainError::Rpc { source, .. } = error else { return None };
    let smallest = match source {
        RpcError::TooMuch { .. } => 1,
        RpcError::Refused { revert: None, .. } => SMALLEST_PAGE,
        _ => return None,
    };
    (page > smallest).then_some(page / 2)
}
