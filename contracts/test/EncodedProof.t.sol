// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {EncodedProof} from "../src/libraries/EncodedProof.sol";

contract EncodedProofTest is Test {
    /// @dev External, so that the bytes are calldata.
    function read(bytes calldata proof) external pure returns (bool canonical, uint256[] memory instances) {
        return EncodedProof.instancesOf(proof);
    }

    function readPart(bytes calldata proof, uint256 size)
        external
        pure
        returns (bool canonical, uint256[] memory instances)
    {
        return EncodedProof.instancesOf(proof[:size]);
    }

    function test_readsWhatAbiEncodeWrites(bytes calldata snark, uint256[] calldata numbers) public view {
        (bool canonical, uint256[] memory instances) = this.read(abi.encode(snark, numbers));
        assertTrue(canonical);
        assertEq(instances, numbers);
    }

    function test_readsEveryPadding() public view {
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (7, 8);
        for (uint256 length = 0; length < 66; ++length) {
            (bool canonical, uint256[] memory instances) = this.read(abi.encode(new bytes(length), numbers));
            assertTrue(canonical);
            assertEq(instances, numbers);
        }
    }

    /// If it takes anything, then abi.decode reads the same from it.
    function test_takesNothingThatReadsDifferently(
        bytes calldata snark,
        uint256[] calldata numbers,
        uint256 position,
        bytes1 change
    ) public view {
        bytes memory proof = abi.encode(snark, numbers);
        proof[position % proof.length] ^= change;
        (bool canonical, uint256[] memory instances) = this.read(proof);
        if (!canonical) return;
        (, uint256[] memory decoded) = abi.decode(proof, (bytes, uint256[]));
        assertEq(instances, decoded);
    }

    function test_readsTwoEmptyArrays() public view {
        bytes memory empty = abi.encode(new bytes(0), new uint256[](0));
        assertEq(empty.length, 128);
        (bool canonical, uint256[] memory instances) = this.read(empty);
        assertTrue(canonical);
        assertEq(instances.length, 0);
    }

    /// Even though what is missing follows in calldata.
    function test_refusesEveryPart() public view {
        uint256[] memory numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (7, 8);
        for (uint256 snark = 0; snark < 65; snark += 32) {
            bytes memory proof = abi.encode(new bytes(snark), numbers);
            for (uint256 size = 0; size < proof.length; ++size) {
                (bool canonical, uint256[] memory instances) = this.readPart(proof, size);
                assertFalse(canonical);
                assertEq(instances.length, 0);
            }
            (bool whole,) = this.readPart(proof, proof.length);
            assertTrue(whole);
        }
    }

    function test_refusesOtherLayouts() public view {
        bytes32 snark = keccak256("snark");
        // What is right, and then one word of it after the other wrong.
        (bool canonical, uint256[] memory instances) = this.read(abi.encode(0x40, 0x80, 32, snark, 1, 5));
        assertTrue(canonical);
        assertEq(instances.length, 1);
        assertEq(instances[0], 5);
        _refused(abi.encode(0x41, 0x80, 32, snark, 1, 5));
        _refused(abi.encode(0x60, 0x80, 32, snark, 1, 5));
        _refused(abi.encode(0x40, 0x60, 32, snark, 1, 5));
        _refused(abi.encode(0x40, 0xa0, 32, snark, 1, 5));
        _refused(abi.encode(0x40, 0x80, 33, snark, 1, 5));
        _refused(abi.encode(0x40, 0x80, 0, snark, 1, 5));
        _refused(abi.encode(0x40, 0x80, 32, snark, 0, 5));
        _refused(abi.encode(0x40, 0x80, 32, snark, 2, 5));
        // The array first, or both in one place.
        _refused(abi.encode(0x80, 0x40, 1, 5, 32, snark));
        _refused(abi.encode(0x40, 0x40, 1, 5));
        // An array that begins past the end.
        _refused(abi.encode(0x40, 0xa0, 64, snark, snark));
    }

    function test_refusesLengthsThatOverflow() public view {
        uint256 most = type(uint256).max;
        _refused(abi.encode(0x40, 0x60, most, 0));
        _refused(abi.encode(0x40, 0x60, most - 31, 0));
        _refused(abi.encode(0x40, most, most - 31 - 0x60, 0));
        _refused(abi.encode(0x40, 0x60, 0, most));
        // Times 32 it is nothing.
        _refused(abi.encode(0x40, 0x60, 0, 1 << 251));
        _refused(abi.encode(0x40, most, 0, 0));
    }

    function _refused(bytes memory proof) private view {
        (bool canonical, uint256[] memory instances) = this.read(proof);
        assertFalse(canonical);
        assertEq(instances.length, 0);
    }
}
