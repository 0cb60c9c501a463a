// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {AgentRegistry} from "../../src/AgentRegistry.sol";
import {AgentHandler, KnownAgent} from "./AgentHandler.sol";

/// @title What stays true of agents whatever anybody does.
contract AgentsInvariantTest is Test {
    AgentHandler private _handler;

    function setUp() public {
        _handler = new AgentHandler();
        _handler.setUp();
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = AgentHandler.register.selector;
        selectors[1] = AgentHandler.rotate.selector;
        selectors[2] = AgentHandler.record.selector;
        selectors[3] = AgentHandler.setPolicy.selector;
        selectors[4] = AgentHandler.transfer.selector;
        selectors[5] = AgentHandler.misbehave.selector;
        selectors[6] = AgentHandler.pause.selector;
        selectors[7] = AgentHandler.passTime.selector;
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// Each agent is what its owner and its committee made of it, and nothing that another did shows in it.
    function invariant_agentsAreWhatTheirOwnersMadeThem() public view {
        AgentRegistry agents = _handler.registry();
        for (uint256 i = 0; i < _handler.count(); ++i) {
            uint256 id = _handler.ids(i);
            KnownAgent memory agent = _handler.known(id);
            assertEq(agents.ownerOf(id), agent.owner);
            assertEq(agents.addressOf(id), vm.addr(agent.child));
            assertEq(agents.committeeOf(id), vm.addr(agent.committee));
            assertEq(agents.policyHashOf(id), agent.policyHash);
            assertEq(agents.lastRoundOf(id), agent.lastRound);
        }
    }

    /// An address is one agent's, and nobody's once it was given up.
    function invariant_addressesAreOneAgents() public view {
        AgentRegistry agents = _handler.registry();
        for (uint256 i = 0; i < _handler.count(); ++i) {
            uint256 id = _handler.ids(i);
            assertEq(agents.agentOf(agents.addressOf(id)), id);
        }
        for (uint256 i = 0; i < _handler.formerCount(); ++i) {
            assertEq(agents.agentOf(_handler.former(i)), 0);
        }
    }
}
