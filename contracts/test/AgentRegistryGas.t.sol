// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AgentFixture} from "./AgentFixture.sol";

/// @title What agents cost, whole transactions: 21,000 and calldata included, every slot and account cold.
contract AgentRegistryGasTest is AgentFixture {
    function test_registerAgent() public {
        _register();
        _measured("register_agent", 160_000);
        _register(alice, secret, "second");
        _measured("register_agent_next", 142_000);
    }

    function test_recordOutput() public {
        uint256 id = _register();
        uint256 child = _childSecret(secret, TWEAK);
        // Rounds share the agent's slot with its address, so the first costs what every other does.
        bytes32 data = keccak256("data");
        agents.recordOutput(id, data, 3, 1, _sign(child, _outputDigest(id, data, 3, 1)));
        _measured("record_output", 38_000);
    }

    function test_rotateCommittee() public {
        uint256 id = _register();
        _rotate(id, _childSecret(secret, TWEAK), otherSecret, TWEAK);
        _measured("rotate_committee", 82_000);
    }

    function test_setPolicyHash() public {
        uint256 id = _register();
        vm.prank(alice);
        agents.setPolicyHash(id, "new");
        _measured("set_policy_hash", 36_000);
    }

    function _measured(string memory name, uint256 budget) private {
        uint256 gasUsed = vm.snapshotGasLastCall("AgentRegistry", name);
        assertLe(gasUsed, budget, name);
    }
}
