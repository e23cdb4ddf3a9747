"""A model that answers at once: both contenders are driven by the same one, so that none is paid for by the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from graph.planner import PlannerView

PROMPT = "You are a support agent. Read the policy, read the order, draft a reply, then ask for the refund."
REPLY = "Your tablet can be returned within 30 days. " * 12


class ScriptedChat(BaseChatModel):
    """Says the next line of its script: as many tool results as there are, so many lines it has said."""

    script: list[tuple[str, dict[str, Any]]]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: object) -> Self:
        del tools, kwargs
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        del stop, run_manager, kwargs
        said = sum(isinstance(message, ToolMessage) for message in messages)
        if said >= len(self.script):
            answer = AIMessage("Done.")
        else:
            name, args = self.script[said]
            answer = AIMessage("", tool_calls=[{"name": name, "args": args, "id": uuid4().hex}])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        del stop, run_manager, kwargs
        return self._generate(messages)


@dataclass(frozen=True)
class AskedModel:
    """A planner that asks the model for each step, with the messages that an agent would send it."""

    model: ScriptedChat = field(
        default_factory=lambda: ScriptedChat(
            script=[
                ("get_policy_evidence", {}),
                ("lookup_order", {}),
                ("draft_reply", {}),
                ("request_human_approval", {"reason": "draft_ready_for_review"}),
            ]
        )
    )

    async def next_action(self, view: PlannerView) -> object:
        messages: list[BaseMessage] = [SystemMessage(PROMPT), HumanMessage(view.question)]
        for result in view.results:
            messages += [AIMessage(""), ToolMessage(result, tool_call_id="1")]
        answer = await self.model.ainvoke(messages)
        if not isinstance(answer, AIMessage) or not answer.tool_calls:
            return None
        call = answer.tool_calls[0]
        given: dict[str, object] = dict(call["args"])
        if call["name"] == "get_policy_evidence":
            given["question"] = view.question
        if call["name"] == "lookup_order":
            given["order_id"] = view.order_id
        return {"action": call["name"], "arguments": given}
