// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A token whose approval burns nearly all of its gas and fails with a long reason.
contract HostileToken {
    function approve(address, uint256) external returns (bool) {
        (bool done,) = address(this).call{gas: gasleft() - 30_000}(abi.encodeCall(this.burn, ()));
        require(!done, "not burnt");
        assembly {
            revert(0, 4000)
        }
    }

    function burn() external pure {
        assembly {
            invalid()
        }
    }
}
