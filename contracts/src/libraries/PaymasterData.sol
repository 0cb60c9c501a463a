// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title What an operation tells BaseAccountIntegration, behind the fields that the EntryPoint reads.
/// @dev Packed: sponsor 20 bytes, day 4 (Unix seconds / 86,400); where gas is paid in a token also token 20 and the
/// largest charge 16 (base units).
library PaymasterData {
    /// Paymaster's address and its two gas limits, which are the EntryPoint's.
    uint256 private constant START = 52;
    uint256 private constant FREE_SIZE = START + 24;
    uint256 private constant PAID_SIZE = FREE_SIZE + 36;

    error WrongPaymasterData(uint256 length);

    /// @dev Token and largest charge are zero where the sponsor asks for nothing.
    function read(bytes calldata paymasterAndData)
        internal
        pure
        returns (address sponsor, uint32 day, address token, uint128 maxCharge)
    {
        uint256 size = paymasterAndData.length;
        if (size != FREE_SIZE && size != PAID_SIZE) revert WrongPaymasterData(size);
        sponsor = address(bytes20(paymasterAndData[START:]));
        day = uint32(bytes4(paymasterAndData[START + 20:]));
        if (size == PAID_SIZE) {
            token = address(bytes20(paymasterAndData[FREE_SIZE:]));
            maxCharge = uint128(bytes16(paymasterAndData[FREE_SIZE + 20:]));
        }
    }
}
