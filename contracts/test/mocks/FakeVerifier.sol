// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A verifier that answers whatever it is told to.
/// @dev What it is told is storage: its code, and so its circuit's id, stays the same.
contract FakeVerifier {
    enum Answer {
        True,
        False,
        /// Not a bool, but not zero either.
        Two,
        /// The word 1 and one byte more.
        Long,
        /// The word 1 without its last byte, which is what holds the 1.
        Short,
        Nothing,
        Revert,
        /// Reverts with the word 1.
        RevertTrue,
        Loop
    }

    Answer private _answer;
    /// Hash of the only calldata that is answered with true; zero for any.
    bytes32 private _expected;

    function set(Answer answer) external {
        _answer = answer;
    }

    function expect(bytes calldata data) external {
        _expected = keccak256(data);
    }

    fallback() external {
        Answer answer = _answer;
        if (_expected != 0 && keccak256(msg.data) != _expected) answer = Answer.False;
        if (answer == Answer.Loop) while (true) {}
        uint256 word = answer == Answer.False ? 0 : answer == Answer.Two ? 2 : 1;
        uint256 size = answer == Answer.Long ? 33 : answer == Answer.Short ? 31 : answer == Answer.Nothing ? 0 : 32;
        if (answer == Answer.Revert) size = 0;
        bool reverts = answer == Answer.Revert || answer == Answer.RevertTrue;
        assembly {
            mstore(0, word)
            if reverts { revert(0, size) }
            return(0, size)
        }
    }
}

/// @title The same with other code, for a second circuit.
contract OtherFakeVerifier is FakeVerifier {
    function other() external pure {}
}
