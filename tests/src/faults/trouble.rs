//! Troubles of a plan, done to a chain and a settler; and everything mended again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::U256;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::child::Child;
use super::plan::Trouble;
use super::stage::Stage;
use crate::fault_proxy::Node;

/// Coins of a sender that can pay.
const ENOUGH: u64 = 1000;

/// Wei per gwei.
const GWEI: u64 = 1_000_000_000;

/// A time in which a transaction usually gets its block.
const A_FEW_BLOCKS: Duration = Duration::from_millis(200);

/// Seconds in which a host may object to a close that its renter asked for.
const CHALLENGE: u64 = 3_600;

/// Whether blocks are mined, and whose turn it is to change the chain.
pub struct Mining {
    on: AtomicBool,
    turn: Mutex<()>,
}

impl Mining {
    /// On.
    pub fn start() -> Self {
        Self { on: AtomicBool::new(true), turn: Mutex::new(()) }
    }

    /// A block, unless there are none now.
    pub async fn block(&self, stage: &Stage) {
        let _turn = self.turn.lock().await;
        if self.on.load(Ordering::SeqCst) {
            stage.rpc("evm_mine", json!([])).await;
        }
    }
}

/// What is troubled.
pub struct Site<'a> {
    /// The chain.
    pub stage: &'a Stage,
    /// The settler.
    pub child: &'a Mutex<Child>,
    /// Its blocks.
    pub mining: &'a Mining,
}

impl Site<'_> {
    /// Does it, and mends it after its time if it has one.
    pub async fn trouble(&self, trouble: Trouble) {
        match trouble {
            Trouble::Reorg(depth) => self.undo("anvil_reorg", json!([depth, []])).await,
            Trouble::Rollback(depth) => self.undo("anvil_rollback", json!([depth])).await,
            Trouble::DropPool => {
                let node = Node::new(&self.stage.chain().anvil.url);
                for transaction in node.pool(self.stage.host.address()).await {
                    self.chain("anvil_dropTransaction", json!([transaction["hash"]])).await;
                }
            }
            Trouble::MineAtOnce(time) => {
                self.chain("evm_setAutomine", json!([true])).await;
                tokio::time::sleep(time).await;
                self.chain("evm_setAutomine", json!([false])).await;
            }
            Trouble::NoBlocks(time) => {
                self.mining.on.store(false, Ordering::SeqCst);
                tokio::time::sleep(time).await;
                self.mining.on.store(true, Ordering::SeqCst);
            }
            Trouble::BaseFee(gwei) => {
                let fee = U256::from(gwei * GWEI);
                self.chain("anvil_setNextBlockBaseFeePerGas", json!([fee])).await;
            }
            Trouble::Outsider(count) => {
                for _ in 0..count {
                    self.stage.outsider().await;
                    // The next one at the next nonce, once this one has its block.
                    tokio::time::sleep(A_FEW_BLOCKS).await;
                }
            }
            Trouble::Poor(time) => {
                self.stage.set_coins(0).await;
                tokio::time::sleep(time).await;
                self.stage.set_coins(ENOUGH).await;
            }
            Trouble::DiskFull(time) => self.tell("fill", "empty", time).await,
            Trouble::FilesFull(time) => self.tell("cap_files", "uncap_files", time).await,
            Trouble::ClockAhead(seconds) => {
                self.chain("evm_increaseTime", json!([seconds])).await;
            }
            Trouble::ClosedByAnotherProgram(pick) => {
                self.stage.close_by_another_program(pick).await;
            }
            Trouble::ClosedByAStranger(pick) => {
                self.stage.ask_for_close(pick).await;
                tokio::time::sleep(A_FEW_BLOCKS).await;
                self.chain("evm_increaseTime", json!([CHALLENGE])).await;
                tokio::time::sleep(A_FEW_BLOCKS).await;
                self.stage.close_by_a_stranger(pick).await;
            }
        }
    }

    /// Ends every trouble that lasts.
    pub async fn mend(&self) {
        self.mining.on.store(true, Ordering::SeqCst);
        self.chain("evm_setAutomine", json!([false])).await;
        self.stage.set_coins(ENOUGH).await;
        for command in ["empty", "uncap_files"] {
            self.child.lock().await.tell(command).await;
        }
    }

    /// Takes blocks back, with none made meanwhile: anvil mixes up the state of both otherwise.
    async fn undo(&self, method: &str, params: Value) {
        let _turn = self.mining.turn.lock().await;
        self.chain("evm_setAutomine", json!([false])).await;
        self.chain(method, params).await;
    }

    async fn tell(&self, worse: &str, better: &str, time: Duration) {
        self.child.lock().await.tell(worse).await;
        tokio::time::sleep(time).await;
        self.child.lock().await.tell(better).await;
    }

    async fn chain(&self, method: &str, params: Value) {
        self.stage.rpc(method, params).await;
    }
}
