// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {EntryPause} from "../../src/EntryPause.sol";

/// @title A contract with one entry and one exit.
contract Door is EntryPause {
    mapping(address guest => bool) public isInside;

    constructor(address circuitBreaker) EntryPause(circuitBreaker) {}

    function enter() external whenEntryOpen {
        isInside[msg.sender] = true;
    }

    function depart() external {
        isInside[msg.sender] = false;
    }
}
