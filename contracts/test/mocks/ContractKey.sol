// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A voucher key that is a contract and answers ERC-1271 as it was told to.
contract ContractKey {
    enum Mode {
        /// Says yes to exactly the digest and signature it was shown.
        Honest,
        /// Says yes to everything with a word that is not the magic value.
        WrongWord,
        /// Answers four bytes instead of a word.
        ShortAnswer,
        Reverts,
        BurnsGas,
        ReturnBomb
    }

    Mode public mode;
    bytes32 private _accepted;

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    function accept(bytes32 digest, bytes calldata signature) external {
        _accepted = keccak256(abi.encode(digest, signature));
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(mode != Mode.Reverts, "reverts");
        if (mode == Mode.BurnsGas) while (true) {}
        if (mode == Mode.WrongWord) return 0xffffffff;
        if (mode == Mode.ShortAnswer) {
            assembly {
                mstore(0, shl(224, 0x1626ba7e))
                return(0, 4)
            }
        }
        if (mode == Mode.ReturnBomb) {
            assembly {
                mstore(0, shl(224, 0x1626ba7f))
                return(0, 100000)
            }
        }
        return keccak256(abi.encode(digest, signature)) == _accepted ? this.isValidSignature.selector : bytes4(0);
    }
}
