// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev One call that the account makes.
struct Call {
    address to;
    /// Wei out of the account's own balance.
    uint256 value;
    bytes data;
}

/// @title Code for an account that delegates to it by EIP-7702, and then makes many calls in one transaction.
/// @notice Each call comes from the account itself, as if it had been sent alone; one that fails leaves the others
/// untouched and is reported by event. The account sends a batch to its own address.
/// @dev What a reader of logs may conclude, if the log's address is the account's:
/// - A transaction has one `BatchExecuted` at most: nobody but the account can start a batch, and a batch cannot hold
///   another one. Without it no call was made, whatever the transaction's status: so it is where the account has no
///   delegation, since a transaction to an account without code succeeds and does nothing.
/// - With it, a call is done unless there is a `CallFailed` of its index. As for a transaction of its own, "done" means
///   that it did not revert; a call to an address without code is done.
///
/// Assumptions and limits:
/// - Calls are in the given order, and each gets all the gas there is. One that burns all of it, in a loop that never
///   ends, makes the whole batch revert: it cannot be told from one that got too little. Send it alone.
/// - A batch with too little gas reverts as a whole and does not report a call as failed that enough gas would have
///   let through; so an estimate finds the gas all of them need. That holds as long as the call fails because it, or a
///   call up to seven frames below it, ran out of gas. A call that looks at its gas and refuses, or that catches the
///   failure and succeeds, decides for itself.
/// - The code has no storage and no owner, cannot be changed, and gives nobody but the account's key any right.
/// - The account still takes coins like one without code, but for calls with data, which it refuses.
interface ISelfBatch {
    /// One call failed alone; `reason` is the beginning of its revert data, 256 bytes at most.
    event CallFailed(uint256 indexed index, bytes reason);
    /// The batch is over: so many calls, of which so many failed.
    event BatchExecuted(uint256 calls, uint256 failed);

    error NotSelf(address caller);
    /// The reason of a call to the account itself, which could only be a batch in a batch.
    error CallToSelf();
    /// The call failed with so little gas left that the lack of it may be why; the whole batch is undone.
    error TooLittleGas(uint256 index);
    /// Coins sent to the code's own address, where nobody could move them.
    error NotDelegated();

    /// @notice Makes the calls, one after the other. Only the account itself may ask for it. Takes no value: what the
    /// calls send is the account's already.
    function execute(Call[] calldata calls) external;
}
