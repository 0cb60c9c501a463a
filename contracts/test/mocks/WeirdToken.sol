// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that can be told to misbehave.
contract WeirdToken is ERC20 {
    enum Mode {
        Normal,
        /// Takes one percent of every transfer.
        FeeOnTransfer,
        /// Refuses by answering false.
        ReturnsFalse,
        Reverts,
        /// Loops until its gas is gone.
        BurnsGas,
        /// Answers with a megabyte.
        ReturnBomb,
        /// Calls `hookTarget` in the middle of every transfer, as ERC-777 would.
        Hooks
    }

    Mode public mode;
    address public hookTarget;
    bytes public hookData;
    bool public hookSucceeded;
    bytes public hookAnswer;
    mapping(address => bool) public blocked;

    constructor() ERC20("Weird", "WRD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    function setHook(address target, bytes calldata data) external {
        mode = Mode.Hooks;
        hookTarget = target;
        hookData = data;
    }

    function blockAccount(address account) external {
        blocked[account] = true;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _misbehave(to) && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _misbehave(to) && super.transferFrom(from, to, amount);
    }

    function _misbehave(address to) private returns (bool) {
        require(!blocked[to], "blocked");
        if (mode == Mode.ReturnsFalse) return false;
        require(mode != Mode.Reverts, "reverts");
        if (mode == Mode.BurnsGas) while (true) {}
        if (mode == Mode.ReturnBomb) {
            assembly {
                return(0, 1000000)
            }
        }
        if (mode == Mode.Hooks) (hookSucceeded, hookAnswer) = hookTarget.call(hookData);
        return true;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (mode == Mode.FeeOnTransfer && from != address(0) && to != address(0)) {
            uint256 fee = amount / 100;
            super._update(from, address(0), fee);
            amount -= fee;
        }
        super._update(from, to, amount);
    }
}

/// @title A token whose transfers return nothing, like old USDT.
contract NoReturnToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
