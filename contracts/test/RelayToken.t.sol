// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {RelayToken} from "../src/RelayToken.sol";

contract RelayTokenTest is Test {
    address private _receiver = makeAddr("receiver");
    RelayToken private _mct = new RelayToken(_receiver);

    function test_supplyIsFixed() public view {
        assertEq(_mct.totalSupply(), 1_000_000_000e18);
        assertEq(_mct.FIXED_SUPPLY(), _mct.totalSupply());
        assertEq(_mct.balanceOf(_receiver), _mct.totalSupply());
        assertLe(_mct.FIXED_SUPPLY(), type(uint96).max);
        assertEq(_mct.decimals(), 18);
        assertEq(_mct.symbol(), "MCT");
        assertEq(_mct.name(), "Capstan Relay");
    }

    function test_permitSetsAnAllowance() public {
        (address holder, uint256 secret) = makeAddrAndKey("holder");
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, holder, address(this), 5, 0, block.timestamp));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, keccak256(abi.encodePacked(hex"1901", _mct.DOMAIN_SEPARATOR(), structHash)));
        _mct.permit(holder, address(this), 5, block.timestamp, v, r, s);
        assertEq(_mct.allowance(holder, address(this)), 5);
        (, string memory name,,,,,) = _mct.eip712Domain();
        assertEq(name, "Capstan Relay");
    }

    function test_interfaceVersion() public view {
        assertEq(_mct.interfaceVersion(), keccak256("capstan.RelayToken.v1"));
    }
}
