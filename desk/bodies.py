"""Bodies of requests to the API: JSON with each key once, because two readers of a key given twice read two things."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from refunds.canonical import BadJson, read_json


class StrictRequest(Request):
    """A request whose JSON is read by `read_json`."""

    async def json(self) -> Any:  # noqa: ANN401  (the framework's own signature)
        try:
            return read_json((await self.body()).decode("utf-8"))
        except (BadJson, UnicodeDecodeError) as error:
            why = str(error) if isinstance(error, BadJson) else "not UTF-8"
            raise HTTPException(422, f"body: {why}") from None


class StrictRoute(APIRoute):
    """A route that reads strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
