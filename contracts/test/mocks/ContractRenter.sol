// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A renter that is a contract, and takes refunds as it was told to.
contract ContractRenter {
    enum Mode {
        Accepts,
        Rejects,
        /// Loops until its gas is gone.
        BurnsGas,
        /// Reverts with a megabyte.
        RevertBomb,
        /// Calls `hookTarget` from its receive function.
        Reenters
    }

    Mode public mode;
    address public hookTarget;
    bytes public hookData;
    bool public hookSucceeded;
    uint256 private _written;

    receive() external payable {
        if (mode == Mode.Rejects) revert("no, thanks");
        if (mode == Mode.BurnsGas) while (true) {}
        if (mode == Mode.RevertBomb) {
            assembly {
                revert(0, 1000000)
            }
        }
        if (mode == Mode.Reenters) (hookSucceeded,) = hookTarget.call(hookData);
        // What a smart account may do: one fresh slot.
        _written = block.number;
    }

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    function setHook(address target, bytes calldata data) external {
        mode = Mode.Reenters;
        hookTarget = target;
        hookData = data;
    }

    function execute(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = target.call{value: value}(data);
        if (!ok) {
            assembly {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
