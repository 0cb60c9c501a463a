// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Deployment} from "../script/DeployAll.sol";

/// @dev A call that one account alone may make. `call` must succeed when `holder` makes it.
struct Privilege {
    address target;
    bytes call;
    address holder;
}

/// @title Is any key in power over a deployment?
/// @notice Asks the deployed contracts and not their sources, so it also holds for what was deployed by other means.
abstract contract NoKeyInPower is Test {
    bytes32 private constant DEFAULT_ADMIN_ROLE = 0;
    /// Implementation, admin and beacon of a proxy (EIP-1967), each one below the hash of its name.
    bytes32 private constant IMPLEMENTATION_SLOT = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);
    bytes32 private constant ADMIN_SLOT = bytes32(uint256(keccak256("eip1967.proxy.admin")) - 1);
    bytes32 private constant BEACON_SLOT = bytes32(uint256(keccak256("eip1967.proxy.beacon")) - 1);

    error NoCode(address target);
    error OwnerIsNotTimelock(address target, address owner);
    error OwnershipPending(address target, address pendingOwner);
    error UpgradeableProxy(address target);
    error KeyHoldsRole(address target, bytes32 role, address key);
    error HolderIsRefused(address target, bytes4 selector, address holder, bytes reason);
    error KeyIsAllowed(address target, bytes4 selector, address key);

    /// @dev Of each contract: it has code; its owner, if it has one, is the timelock and no transfer is under way; it
    /// is no proxy. Of each key: it holds no role of those that have roles.
    function _requireNoKeyInPower(address timelock, address[] memory targets, address[] memory keys) internal view {
        for (uint256 i = 0; i < targets.length; ++i) {
            address target = targets[i];
            if (target.code.length == 0) revert NoCode(target);
            (bool found, address holder) = _ask(target, "owner()");
            if (found && holder != timelock && holder != address(0)) revert OwnerIsNotTimelock(target, holder);
            (found, holder) = _ask(target, "pendingOwner()");
            if (found && holder != address(0)) revert OwnershipPending(target, holder);
            if (
                vm.load(target, IMPLEMENTATION_SLOT) != 0 || vm.load(target, ADMIN_SLOT) != 0
                    || vm.load(target, BEACON_SLOT) != 0
            ) revert UpgradeableProxy(target);
            _requireNoRoles(target, keys);
        }
    }

    /// @dev Each privilege is its holder's and no key's. The holder's call is tried for real and taken back, so a key
    /// that is refused is refused for who it is.
    function _requireOnlyHolders(Privilege[] memory privileges, address[] memory keys) internal {
        for (uint256 i = 0; i < privileges.length; ++i) {
            Privilege memory privilege = privileges[i];
            bytes4 selector = bytes4(privilege.call);
            (bool allowed, bytes memory reason) = _try(privilege, privilege.holder);
            if (!allowed) revert HolderIsRefused(privilege.target, selector, privilege.holder, reason);
            for (uint256 j = 0; j < keys.length; ++j) {
                if (keys[j] == privilege.holder) continue;
                (allowed,) = _try(privilege, keys[j]);
                if (allowed) revert KeyIsAllowed(privilege.target, selector, keys[j]);
            }
        }
    }

    /// @dev Every contract of a deployment, those that are added to it later too.
    function _contractsOf(Deployment memory made) internal pure returns (address[] memory contracts) {
        bytes memory words = abi.encode(made);
        contracts = new address[](words.length / 32);
        for (uint256 i = 0; i < contracts.length; ++i) {
            address each;
            assembly ("memory-safe") {
                each := mload(add(add(words, 0x20), mul(i, 0x20)))
            }
            contracts[i] = each;
        }
    }

    /// @dev Roles that the protocol's contracts know. An heir whose contracts know more adds them.
    function _roles() internal view virtual returns (bytes32[] memory roles) {
        roles = new bytes32[](7);
        roles[0] = DEFAULT_ADMIN_ROLE;
        roles[1] = keccak256("PROPOSER_ROLE");
        roles[2] = keccak256("EXECUTOR_ROLE");
        roles[3] = keccak256("CANCELLER_ROLE");
        roles[4] = keccak256("TIMELOCK_ADMIN_ROLE");
        roles[5] = keccak256("MINTER_ROLE");
        roles[6] = keccak256("PAUSER_ROLE");
    }

    function _requireNoRoles(address target, address[] memory keys) private view {
        bytes32[] memory roles = _roles();
        for (uint256 i = 0; i < roles.length; ++i) {
            for (uint256 j = 0; j < keys.length; ++j) {
                (bool success, bytes memory answer) =
                    target.staticcall(abi.encodeWithSignature("hasRole(bytes32,address)", roles[i], keys[j]));
                if (success && answer.length == 32 && abi.decode(answer, (uint256)) != 0) {
                    revert KeyHoldsRole(target, roles[i], keys[j]);
                }
            }
        }
    }

    /// @dev What an address getter answers, if there is one.
    function _ask(address target, string memory getter) private view returns (bool found, address answer) {
        (bool success, bytes memory data) = target.staticcall(abi.encodeWithSignature(getter));
        if (!success || data.length != 32) return (false, address(0));
        return (true, address(uint160(abi.decode(data, (uint256)))));
    }

    function _try(Privilege memory privilege, address caller) private returns (bool allowed, bytes memory reason) {
        uint256 before = vm.snapshotState();
        vm.prank(caller);
        (allowed, reason) = privilege.target.call(privilege.call);
        vm.revertToState(before);
    }
}
