// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommitteeKey} from "../interfaces/IAgentRegistry.sol";

/// @title Points of secp256k1: is it one, its address, and the address of a key derived from it.
library CommitteeKeys {
    /// The field's prime (SEC 2, section 2.4.1).
    uint256 private constant P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
    /// The group's order.
    uint256 private constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    /// @dev The curve is y^2 = x^3 + 7. An x from N on, which one key in 2^128 has, is refused as well, because
    /// `childOf` cannot take it.
    function isValid(CommitteeKey calldata key) internal pure returns (bool) {
        uint256 x = uint256(key.x);
        uint256 y = uint256(key.y);
        if (x >= N || y >= P) return false;
        return mulmod(y, y, P) == addmod(mulmod(mulmod(x, x, P), x, P), 7, P);
    }

    /// @dev The address a key's own signatures recover to.
    function addressOf(CommitteeKey calldata key) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(key.x, key.y)))));
    }

    /// @dev The address of key + tweak * G, or zero if the tweak is none: 0, N or more, or the one that leads to the
    /// point at infinity. `key` must be valid.
    ///
    /// Recovery gives the address of r^-1 (s R - z G), where R is the point with x-coordinate r. With R = key, s = r
    /// and z = -tweak * r that is the sum we want, for the price of one recovery.
    function childOf(CommitteeKey calldata key, bytes32 tweak) internal pure returns (address) {
        uint256 t = uint256(tweak);
        if (t == 0 || t >= N) return address(0);
        uint256 r = uint256(key.x);
        uint256 z = N - mulmod(t, r, N);
        return ecrecover(bytes32(z), uint256(key.y) % 2 == 0 ? 27 : 28, bytes32(r), bytes32(r));
    }
}
