"""EXTERNAL through the gateway's `/ws`: what a client sees of folios, costs and the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from penny.gateway.app import Gateway
from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import configure


Json = dict[str, Any]


async def test_a_client_sees_the_folio_the_cost_and_what_the_brain_was_worth(
    speaker: RealtimeDouble, claude: AnthropicDouble, tmp_path: Path
) -> None:
    claude.on("turn", 1, answer=folio("Consulta sobre pagos"))
    config = configure(tmp_path, speaker.base_url, claude.base_url)
    external = {"EXTERNAL": config.penny.modes.EXTERNAL}
    own = config.penny.modes.SELF_HOSTED.model_copy(update={"enabled": False})
    modes = config.penny.modes.model_copy(update={**external, "SELF_HOSTED": own})
    penny = config.penny.model_copy(update={"modes": modes, "default_mode": "EXTERNAL"})
    gateway = Gateway(config.model_copy(update={"penny": penny}))
    await gateway.start(host="127.0.0.1", port=0)
    seen: list[Json] = []
    try:
        base = f"http://127.0.0.1:{gateway.port}"
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/ws") as socket:

            async def until(kind: str) -> Json:
                while True:
                    message = await socket.receive(timeout=5.0)
                    if message.type is aiohttp.WSMsgType.TEXT:
                        seen.append(message.json())
                        if seen[-1]["type"] == kind:
                            return seen[-1]
                    assert not socket.closed, [event["type"] for event in seen]

            await socket.send_json({"type": "session_start", "mode": "EXTERNAL"})
            started = await until("session_started")
            assert started["capabilities"]["context_updates"] is True
            upstream = await speaker.connection()
            await socket.send_json({"type": "text_input", "text": "Cómo se paga esto, por favor"})
            await upstream.answer("Por banco.")
            update = await until("context_update")
            assert update["context_update"]["user_intent"] == "Consulta sobre pagos"
            assert update["turn_id"] == "turn_1"
            costs = [event for event in seen if event["type"] == "cost"]
            assert costs[-1]["usd_by"]["portavoz"] > 0
            await socket.send_json({"type": "session_end"})
            ended = await until("session_ended")
            async with http.get(f"{base}/metrics") as response:
                shown = await response.text()
        assert ended["totals"]["usd"] > 0
        assert ended["details"]["brain"]["folios"] >= 1
        assert 'penny_folios_total{outcome="written"}' in shown
        assert 'penny_brain_analyses_total{outcome="ok"} 1.0' in shown
    finally:
        await gateway.stop(0.0)
