"""How often clients may try tokens; over time as it would pass, and without a server."""

import asyncio

import pytest

from edgepub.http.token_attempts import TokenAttempts

ATTACKER, OWNER = "192.0.2.66", "192.0.2.7"
PAUSE_S = 0.05


@pytest.fixture
def attempts():
    return TokenAttempts(PAUSE_S)


async def flood(attempts, *addresses, number=40):
    """Try wrong tokens at the same time; return the tasks, none of which is done."""
    tasks = [asyncio.create_task(attempts.fail(address)) for address in addresses for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_a_client_with_many_wrong_tokens_may_not_try_further_ones_for_a_while(attempts):
    tasks = await flood(attempts, ATTACKER)
    assert not attempts.may_try(ATTACKER)
    assert attempts.may_try(OWNER)
    assert sorted(await asyncio.gather(*tasks)) == [False] * 35 + [True] * 5
    assert attempts.may_try(ATTACKER)


async def test_the_answers_come_one_after_another(attempts):
    loop, began_s, times_s = asyncio.get_running_loop(), asyncio.get_running_loop().time(), []
    for task in await flood(attempts, ATTACKER, number=5):
        task.add_done_callback(lambda _: times_s.append(loop.time() - began_s))
        await asyncio.wait([task])
    assert all(at_s >= PAUSE_S * number for number, at_s in enumerate(times_s, 1))


async def test_whoever_had_the_right_token_may_always_try(attempts):
    attempts.succeed(OWNER)
    tasks = await flood(attempts, OWNER, "127.0.0.1", "::1", "::ffff:127.0.0.1")
    assert all(attempts.may_try(address) for address in (OWNER, "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"))
    await asyncio.gather(*tasks)


async def test_the_addresses_of_one_network_are_one_client(attempts):
    tasks = await flood(attempts, *(f"2001:db8::{number:x}" for number in range(40)), number=1)
    assert not attempts.may_try("2001:db8::ffff")
    assert attempts.may_try("2001:db8:0:1::1")
    mapped = await flood(attempts, "::ffff:192.0.2.66")
    assert not attempts.may_try(ATTACKER)
    assert attempts.may_try("::ffff:192.0.2.7")
    await asyncio.gather(*tasks, *mapped)


async def test_many_clients_hold_few_connections(attempts):
    addresses = [f"198.51.{number // 250}.{number % 250}" for number in range(1500)]
    tasks = await flood(attempts, *addresses, number=1)
    assert sum(not task.done() for task in tasks) == 16
    assert sum(await asyncio.gather(*tasks)) == 16


@pytest.mark.parametrize("address", [None, "", "unix", "not an address"])
async def test_a_client_without_an_address_is_limited_too(attempts, address):
    tasks = await flood(attempts, address)
    assert not attempts.may_try(address)
    await asyncio.gather(*tasks)
