// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A contract whose calls succeed, fail and burn gas as they are told to.
contract Callee {
    /// What `note` was called with, in order, and by whom last.
    uint256[] public notes;
    address public lastCaller;

    error Refused(uint256 number);

    receive() external payable {}

    function note(uint256 number) external payable {
        notes.push(number);
        lastCaller = msg.sender;
    }

    function noteCount() external view returns (uint256) {
        return notes.length;
    }

    function refuse(uint256 number) external payable {
        revert Refused(number);
    }

    function revertWith(bytes calldata reason) external pure {
        assembly {
            let free := mload(0x40)
            calldatacopy(free, reason.offset, reason.length)
            revert(free, reason.length)
        }
    }

    function answerWithZeros(uint256 size) external pure {
        assembly {
            return(0, size)
        }
    }

    /// Uses so much gas `depth` frames down, and notes it; fails for lack of gas and for nothing else.
    function burn(uint256 amount, uint256 depth) external {
        if (depth > 0) {
            this.burn(amount, depth - 1);
            return;
        }
        uint256 start = gasleft();
        while (start - gasleft() < amount) {}
        notes.push(amount);
    }
}
