// Stands in the place of Chroma's JavaScript client where tests/clients/check.mjs looks for it, and is that client, connected
// through Jupyter: what goes to PROXIED_URL gets the path and the headers that a user writes. All other addresses stay as they are.

import { pathToFileURL } from "node:url";

const real = await import(pathToFileURL(process.env.REAL_CLIENT).href);
const url = new URL(process.env.PROXIED_URL);
const headers = JSON.parse(process.env.PROXIED_HEADERS);

function connected(options) {
  // Up to release 2 an address is a path, later a host and a port.
  if (options.path === url.href) return { ...options, fetchOptions: { headers } };
  if (options.port === Number(url.port)) return { ...options, host: url.host + url.pathname, headers };
  return options;
}

export class ChromaClient extends real.ChromaClient {
  constructor(options) {
    super(connected(options));
  }
}

export class AdminClient extends real.AdminClient {
  constructor(options) {
    super(connected(options));
  }
}
