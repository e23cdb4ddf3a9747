// A real OpenID provider for the tests: whoever is named by POST /people signs in without a password.
// Usage: node issuer.mjs PORT REDIRECT_URI; prints "ready" on its first line.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
let person = { sub: "nobody" };

const provider = new Provider(issuer, {
  clients: [
    { client_id: "countersign", client_secret: "a-secret-of-tests", redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code"] },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "countersign"], email: ["email"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ ...person, sub: id }) }),
  cookies: { keys: ["a key of tests"] },
});

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
};

const interact = async (request, response) => {
  const { prompt, params, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    await provider.interactionFinished(request, response, { login: { accountId: person.sub, remember: false } });
    return;
  }
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: person.sub, clientId: params.client_id });
  grant.addOIDCScope("openid profile email");
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
};

createServer(async (request, response) => {
  if (request.method === "POST" && request.url === "/people") {
    person = await body(request);
    response.end("ok");
  } else if (request.url.startsWith("/interaction/")) {
    await interact(request, response);
  } else {
    provider.callback()(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
