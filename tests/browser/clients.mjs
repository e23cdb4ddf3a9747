// LangGraph's own clients in a page: each action answers with what the client gave, or with what it refused by.

import { Client } from "@langchain/langgraph-sdk";
import { Command } from "@langchain/langgraph/web";
import { RemoteGraph } from "@langchain/langgraph/remote";
import { useStream } from "@langchain/react";
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { renderToStaticMarkup } from "react-dom/server.browser";
import Markdown from "react-markdown";
import rehypeRaw from "rehype-raw";
import remarkGfm from "remark-gfm";

const GRAPH = "refund_agent";

function clientOf({ url, token }) {
  return new Client({ apiUrl: url, apiKey: token, callerOptions: { maxRetries: 0 } });
}

async function pauseOf(client, thread) {
  const state = await client.threads.getState(thread);
  return state.tasks.flatMap((task) => task.interrupts)[0];
}

async function last(stream) {
  let status = null;
  for await (const part of stream) {
    if (part.event === "error") throw new Error(part.data?.message ?? JSON.stringify(part.data));
    if (part.event === "values") status = part.data.status;
  }
  return status;
}

/** The last status that a stream of a thread shows before its run ends. */
async function settled(stream) {
  let status = null;
  for await (const values of stream.values) {
    status = values.status;
    if (["refunded", "rejected", "replied"].includes(status)) break;
  }
  return status;
}

const ANSWERS = {
  "runs.stream": async (house, thread, resume) =>
    last(clientOf(house).runs.stream(thread, GRAPH, { command: { resume }, streamMode: ["values"] })),

  joinStream: async (house, thread, resume) => {
    const client = clientOf(house);
    const run = await client.runs.create(thread, GRAPH, { command: { resume }, streamMode: ["values"], streamResumable: true });
    // From its first event: without "-1" a client that joins after the run has ended hears nothing of it.
    return last(client.runs.joinStream(thread, run.run_id, { streamMode: ["values"], lastEventId: "-1" }));
  },

  "threads.stream": async (house, thread, resume) => {
    const client = clientOf(house);
    const pause = await pauseOf(client, thread);
    const stream = client.threads.stream(thread, { assistantId: GRAPH });
    try {
      const seen = settled(stream);
      await Promise.race([
        stream.input.respond({ interrupt_id: pause?.id ?? "none", namespace: [], response: resume }),
        seen.then(() => undefined),
      ]);
      return await seen;
    } finally {
      await stream.close();
    }
  },

  RemoteGraph: async ({ url, token }, thread, resume) => {
    const graph = new RemoteGraph({ graphId: GRAPH, url, apiKey: token });
    return (await graph.invoke(new Command({ resume }), { configurable: { thread_id: thread } })).status;
  },

  useStream: (house, thread, resume) => hooked(house, thread, (stream) => stream.respond(resume, { interruptId: stream.interrupts[0].id })),
};

/** A component that shows a thread with useStream and answers its pause once it is there. */
function hooked({ url, token }, thread, act) {
  const root = createRoot(document.createElement("div"));
  return new Promise((resolve, reject) => {
    let acted = false;
    function Case() {
      const stream = useStream({ apiUrl: url, apiKey: token, assistantId: GRAPH, threadId: thread });
      const status = stream.values?.status;
      const waits = stream.interrupts.length > 0;
      useEffect(() => {
        if (waits && !acted) {
          acted = true;
          Promise.resolve(act(stream)).catch(reject);
        }
        if (stream.error) reject(stream.error);
        if (!acted && !stream.isThreadLoading && !waits && status) reject(new Error("nothing waits here"));
        if (acted && ["refunded", "rejected", "replied"].includes(status)) resolve(status);
      });
      return null;
    }
    root.render(createElement(Case));
  }).finally(() => root.unmount());
}

const ACTIONS = {
  connect: async (house) => (await clientOf(house).assistants.search()).map((one) => one.graph_id),
  list: async (house) =>
    (await clientOf(house).threads.search({ status: "interrupted", limit: 500 })).map((one) => one.thread_id),
  open: async (house, { thread }) => {
    const pause = await pauseOf(clientOf(house), thread);
    return { title: pause.value.action_requests[0].name, first: Object.keys(pause.value.action_request.args)[0] };
  },
  messages: async (house, { thread }) =>
    (await clientOf(house).threads.getState(thread)).values.messages.map((one) => one.content),
  answer: async (house, { by, thread, resume }) => ANSWERS[by](house, thread, resume),
  start: async ({ url, token }, { thread, ticket, by }) => {
    if (by === "RemoteGraph") {
      const graph = new RemoteGraph({ graphId: GRAPH, url, apiKey: token });
      const config = { configurable: { thread_id: thread } };
      await graph.invoke({ ticket }, config).catch((error) => {
        if (error.name !== "GraphInterrupt") throw error;
      });
      return (await graph.getState(config)).next;
    }
    const stream = clientOf({ url, token }).threads.stream(thread, { assistantId: GRAPH });
    try {
      await stream.run.start({ input: { ticket } });
      return (await stream.output).status;
    } finally {
      await stream.close();
    }
  },
  /** Texts as Agent Inbox renders every text of a state: Markdown with raw HTML in it. */
  render: async (house, { texts }) =>
    texts.map((text) =>
      renderToStaticMarkup(createElement(Markdown, { remarkPlugins: [remarkGfm], rehypePlugins: [rehypeRaw] }, text)),
    ),
  write: async (house, { thread, what }) => {
    const { threads, runs } = clientOf(house);
    if (what === "state") return threads.updateState(thread, { values: { status: "refunded" } });
    if (what === "delete") return threads.delete(thread);
    if (what === "goto") return runs.wait(thread, GRAPH, { command: { goto: "refund" } });
    return runs.wait(null, GRAPH, { input: {} });
  },
};

/** A limit, never a measure: what a client waits for may never come. */
const patience = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Error("no answer within a minute")), 60_000));

window.act = async (house, action, said) => {
  try {
    return { told: await Promise.race([ACTIONS[action](house, said ?? {}), patience()]) };
  } catch (error) {
    return { refused: String(error?.message ?? error), status: error?.status ?? null };
  }
};
