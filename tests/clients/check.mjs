// What an official JavaScript client must see of our server; runs with any release of that client.
//
// `node check.mjs FOLDER OPEN_URL GUARDED_URL TOKEN TENANT` loads the client that is installed in FOLDER and prints one JSON line
// per check. Both addresses lead to the same store; the second asks for a token. A check is written once for all releases; how
// they differ stands in HISTORY.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, openUrl, guardedUrl, token, tenant] = process.argv.slice(2);
const home = path.join(path.resolve(folder), "node_modules", "chromadb");
const version = JSON.parse(readFileSync(path.join(home, "package.json"), "utf8")).version;
const chroma = await import(pathToFileURL(path.join(home, "dist", "chromadb.mjs")).href);

// Release -> what changed with it. The names are those of error classes; "returned" is a reply { error } that nobody threw.
const HISTORY = [
  [
    [1, 8],
    {
      address: (url) => ({ path: url }),
      withToken: (kind) => ({ auth: { provider: "token", credentials: token, ...tokenHeader(kind) } }),
      tokenHeaders: { Authorization: "AUTHORIZATION", "X-Chroma-Token": "X_CHROMA_TOKEN" },
      database: (name) => ({ name, tenantName: tenant }),
      listed: (each) => each.name,
      lackingMatches: false,
      configuration: false, // has what only the newest API has
      lists: false, // takes lists only
      exists: "Error",
      missing: "Error",
      gone: "returned",
      dimension: "returned",
      badFilter: "returned",
      badName: "Error",
      noChoice: "returned",
      forbidden: "Response",
      alreadyGone: "returned",
      unauthorized: "Error",
      missingTenant: "Error",
    },
  ],
  [
    [1, 9],
    {
      exists: "UniqueConstraintError",
      missing: "InvalidCollectionError",
      alreadyGone: "InvalidCollectionError",
      gone: "InvalidCollectionError",
      dimension: "ChromaValueError",
      badFilter: "ChromaValueError",
      badName: "ChromaValueError",
      noChoice: "ChromaValueError",
      forbidden: "ChromaForbiddenError",
    },
  ],
  [
    [1, 10],
    {
      listed: (each) => each,
      lackingMatches: true,
      exists: "ChromaUniqueError",
      missing: "ChromaNotFoundError",
      alreadyGone: "ChromaNotFoundError",
      gone: "ChromaNotFoundError",
      dimension: "InvalidArgumentError",
      badFilter: "InvalidArgumentError",
      badName: "InvalidArgumentError",
      noChoice: null,
    },
  ],
  [
    [3, 0],
    {
      address: (url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port), ssl: false }),
      withToken: (kind) => ({ headers: kind === "Authorization" ? { Authorization: `Bearer ${token}` } : { "X-Chroma-Token": token } }),
      database: (name) => ({ name, tenant }),
      listed: (each) => each.name,
      configuration: true,
      lists: true,
      dimension: "ChromaClientError",
      badFilter: "ChromaClientError",
      badName: "ChromaClientError",
      unauthorized: "ChromaUnauthorizedError",
      missingTenant: "ChromaNotFoundError",
    },
  ],
];

const release = version.split(".").map(Number);
const generation = {};
for (const [since, changes] of HISTORY) {
  if (release[0] > since[0] || (release[0] === since[0] && release[1] >= since[1])) Object.assign(generation, changes);
}

function tokenHeader(kind) {
  return { tokenHeaderType: generation.tokenHeaders[kind] };
}

class Letters {
  name = "letters";

  async generate(texts) {
    return texts.map((text) => [text.length, text.split(" ").length]);
  }

  getConfig() {
    return { alphabet: "ünïcode" };
  }
}

const database = "база данных ☃ 1";
const embeddingFunction = new Letters();
let count = 0;
const name = () => `c-${count++}-${randomUUID().slice(0, 8)}`;
const connect = (options = {}, url = openUrl) =>
  new chroma.ChromaClient({ ...generation.address(url), tenant, database, ...options });
const empty = (options = {}) => client.createCollection({ name: name(), embeddingFunction, ...options });

async function filled(options = {}) {
  const made = await empty(options);
  await made.add({
    ids: ["e", "a", "d", "b", "c"],
    embeddings: [[5, 0.5], [1, 0], [0, 4], [0, 2], [3, 3]],
    metadatas: [{ n: 5, t: "odd" }, { n: 1, t: "odd" }, { n: 4.5, t: "even" }, { n: 2, t: "even", yes: true }, { t: "odd" }],
    documents: ["five birds", "one owl", "four Owls", "two birds and an owl", "three"],
  });
  return made;
}

const find = (sought) => client.getCollection({ name: sought, embeddingFunction });
const same = (got, wanted) => assert.deepStrictEqual(got, wanted);
const plain = (value) => JSON.parse(JSON.stringify(value));

async function raises(names, call, words = "") {
  let result;
  try {
    result = await call();
  } catch (error) {
    const classes = [error.name, error.constructor.name];
    assert.ok(names.split("|").some((each) => classes.includes(each)), `expected ${names}, got ${classes}: ${error.message}`);
    if (generation.missing !== "Error") assert.match(String(error.message), new RegExp(words, "i"));
    return;
  }
  assert.ok(names.includes("returned") && result?.error, `expected ${names}, but the call returned ${JSON.stringify(result)}`);
}

const admin = new chroma.AdminClient(generation.address(openUrl));
await admin.createTenant({ name: tenant });
await admin.createDatabase(generation.database(database));
const client = connect();

const WHERE = [
  [{ n: 5 }, "e"],
  [{ n: { $eq: 2 } }, "b"],
  [{ t: "odd" }, "eac"],
  [{ yes: true }, "b"],
  [{ n: { $gt: 2 } }, "ed"],
  [{ n: { $gte: 2 } }, "edb"],
  [{ n: { $lt: 4.5 } }, "ab"],
  [{ n: { $lte: 4.5 } }, "adb"],
  [{ n: { $in: [1, 5, 77] } }, "ea"],
  [{ t: { $in: ["even"] } }, "db"],
  [{ t: { $ne: "odd" } }, "db"],
  [{ t: { $nin: ["even", "other"] } }, "eac"],
  [{ $and: [{ t: "odd" }, { n: { $gt: 1 } }] }, "e"],
  [{ $or: [{ n: 1 }, { yes: true }] }, "ab"],
  [{ $and: [{ $or: [{ n: 1 }, { n: 5 }] }, { $or: [{ t: "even" }, { n: { $lt: 3 } }] }] }, "a"],
  [{ nokey: 1 }, ""],
];

const WHERE_DOCUMENT = [
  [{ $contains: "owl" }, "ab"],
  [{ $contains: "Owl" }, "d"],
  [{ $not_contains: "owl" }, "edc"],
  [{ $and: [{ $contains: "birds" }, { $contains: "owl" }] }, "b"],
  [{ $or: [{ $contains: "three" }, { $contains: "Owls" }] }, "dc"],
];

async function distancesAgree(space, options) {
  const made = await empty(options);
  const points = Array.from({ length: 20 }, (_, i) => [Math.sin(i), Math.cos(3 * i), Math.sin(7 * i) / 2].map(Math.fround));
  await made.add({ ids: points.map((_, i) => `p${i}`), embeddings: points });
  const found = await made.query({ queryEmbeddings: [points[3]], nResults: 20, include: ["distances"] });
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const distance = {
    l2: (a, b) => a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0),
    ip: (a, b) => 1 - dot(a, b),
    cosine: (a, b) => 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
  }[space];
  const wanted = points.map((point, i) => [distance(point, points[3]), `p${i}`]).sort((a, b) => a[0] - b[0]);
  same(found.ids[0], wanted.map((each) => each[1]));
  wanted.forEach((each, i) => assert.ok(Math.abs(found.distances[0][i] - each[0]) < 1e-5, `${found.distances[0][i]} ${each[0]}`));
}

const CHECKS = {
  async heartbeatAndVersion() {
    assert.ok((await client.heartbeat()) > 1e18);
    assert.match(await client.version(), /^\d/);
  },
  async createReturnsAnEmptyCollection() {
    const sought = name();
    const made = await client.createCollection({ name: sought, metadata: { a: 1, b: "ü", c: true, d: 0.5 }, embeddingFunction });
    same([made.name, await made.count()], [sought, 0]);
    same(plain(made.metadata), { a: 1, b: "ü", c: true, d: 0.5 });
    assert.match(made.id, /^[0-9a-f-]{36}$/);
  },
  async createAnExistingName() {
    const made = await filled();
    await raises(generation.exists, () => client.createCollection({ name: made.name, embeddingFunction }), "exist");
    same(await (await find(made.name)).count(), 5);
  },
  async getACollection() {
    const made = await filled({ metadata: { k: "v" } });
    const found = await find(made.name);
    same([found.id, found.name, plain(found.metadata), await found.count()], [made.id, made.name, { k: "v" }, 5]);
  },
  async getAMissingCollection() {
    await raises(generation.missing, () => find("not-there"));
  },
  async getOrCreate() {
    const made = await filled();
    const again = await client.getOrCreateCollection({ name: made.name, embeddingFunction });
    same([again.id, await again.count()], [made.id, 5]);
    same(await (await client.getOrCreateCollection({ name: name(), embeddingFunction })).count(), 0);
  },
  async listAndCountCollections() {
    const before = await client.countCollections();
    const made = [await empty(), await empty(), await empty()];
    same(await client.countCollections(), before + 3);
    const listed = (await client.listCollections()).map(generation.listed);
    made.forEach((each) => assert.ok(listed.includes(each.name), listed));
    same(listed.length, before + 3);
    const page = (await client.listCollections({ limit: 2, offset: 1 })).map(generation.listed);
    same(page, listed.slice(1, 3));
  },
  async deleteACollection() {
    const made = await filled();
    await client.deleteCollection({ name: made.name });
    await raises(generation.missing, () => find(made.name));
    await raises(generation.alreadyGone, () => client.deleteCollection({ name: made.name }));
  },
  async useACollectionAfterItsDeletion() {
    const made = await filled();
    await client.deleteCollection({ name: made.name });
    await raises(generation.gone, () => made.get());
    await raises(generation.gone, () => made.add({ ids: ["a"], embeddings: [[1, 2]] }));
    await raises(generation.gone, () => made.query({ queryEmbeddings: [[1, 2]], nResults: 1 }));
  },
  async badNames() {
    for (const bad of ["ab", "a b c", "-abc", "abc_", "a..b", "192.168.1.1", "ünïcode"]) {
      await raises(generation.badName, () => client.createCollection({ name: bad, embeddingFunction }));
    }
  },
  async addSingleValues() {
    const made = await empty();
    if (generation.lists) return;
    await made.add({ ids: "a", embeddings: [1, 2], metadatas: { k: 1 }, documents: "alone" });
    const got = plain(await made.get({ ids: "a" }));
    same([got.ids, got.metadatas, got.documents], [["a"], [{ k: 1 }], ["alone"]]);
  },
  async addTheSameIdTwiceInOneCall() {
    const made = await empty();
    await assert.rejects(() => made.add({ ids: ["a", "a"], embeddings: [[1], [2]] }), /duplicate|unique/i);
    same(await made.count(), 0);
  },
  async addAnIdThatIsThere() {
    const made = await filled();
    await made.add({ ids: ["a", "new"], embeddings: [[9, 9], [8, 8]], documents: ["other", "new"] });
    same((await made.get({ ids: ["a"] })).documents, ["one owl"]);
    same(await made.count(), 6);
  },
  async addAnotherDimension() {
    const made = await filled();
    await raises(generation.dimension, () => made.add({ ids: ["z"], embeddings: [[1, 2, 3]] }));
    same(await made.count(), 5);
  },
  async addDocumentsThroughAnEmbeddingFunction() {
    const made = await empty();
    await made.add({ ids: ["a", "b"], documents: ["an owl", "a bird in the hand"] });
    same((await made.get({ include: ["embeddings"] })).embeddings, [[6, 2], [18, 5]]);
    const found = await made.query({ queryTexts: ["my dog"], nResults: 1 });
    same([found.ids, found.distances], [[["a"]], [[0]]]);
  },
  async getEverythingInOrder() {
    const got = plain(await (await filled()).get());
    same(got.ids, ["e", "a", "d", "b", "c"]);
    same(got.documents, ["five birds", "one owl", "four Owls", "two birds and an owl", "three"]);
    same(got.metadatas.slice(2), [{ n: 4.5, t: "even" }, { n: 2, t: "even", yes: true }, { t: "odd" }]);
  },
  async getByIds() {
    const made = await filled();
    same((await made.get({ ids: ["c", "nobody", "e"] })).ids, ["e", "c"]);
    same((await made.get({ ids: ["nobody"] })).ids, []);
  },
  async getPages() {
    const made = await filled();
    const pages = [];
    for (const offset of [0, 2, 4, 6]) pages.push((await made.get({ limit: 2, offset })).ids);
    same(pages, [["e", "a"], ["d", "b"], ["c"], []]);
    same((await made.get({ where: { t: "odd" }, limit: 1, offset: 1 })).ids, ["a"]);
  },
  async getIncludesWhatIsAskedFor() {
    const made = await filled();
    for (const include of [["documents"], ["metadatas"], ["embeddings"], ["documents", "embeddings"], ["uris"]]) {
      const got = plain(await made.get({ ids: ["a"], include }));
      same(got.ids, ["a"]);
      for (const field of ["documents", "metadatas", "embeddings"]) {
        const shown = got[field] !== null && got[field] !== undefined && got[field].length > 0;
        same([field, shown], [field, include.includes(field)]);
      }
    }
  },
  async missingPartsAreNull() {
    const made = await empty();
    await made.add({ ids: ["a", "b"], embeddings: [[1], [2]] });
    const got = plain(await made.get());
    same([got.documents, got.metadatas], [[null, null], [null, null]]);
  },
  async getWhere() {
    const made = await filled();
    for (const [where, wanted] of WHERE) same([where, (await made.get({ where })).ids], [where, [...wanted]]);
  },
  async queryWhere() {
    const made = await filled();
    for (const [where, wanted] of WHERE) {
      const found = await made.query({ queryEmbeddings: [[0, 0]], nResults: 9, where });
      same([where, [...found.ids[0]].sort()], [where, [...wanted].sort()]);
    }
  },
  async recordsThatLackTheKey() {
    const made = await filled();
    same((await made.get({ where: { n: { $ne: 1 } } })).ids, generation.lackingMatches ? ["e", "d", "b", "c"] : ["e", "d", "b"]);
  },
  async whereDocument() {
    const made = await filled();
    for (const [whereDocument, wanted] of WHERE_DOCUMENT) {
      same([whereDocument, (await made.get({ whereDocument })).ids], [whereDocument, [...wanted]]);
      const found = await made.query({ queryEmbeddings: [[0, 0]], nResults: 9, whereDocument });
      same([whereDocument, [...found.ids[0]].sort()], [whereDocument, [...wanted].sort()]);
    }
    same((await made.get({ where: { t: "odd" }, whereDocument: { $contains: "birds" } })).ids, ["e"]);
  },
  async badFilters() {
    const made = await filled();
    await raises(`${generation.badFilter}|ChromaValueError`, () => made.get({ where: { n: { $foo: 1 } } }));
    await raises(`${generation.badFilter}|ChromaValueError`, () =>
      made.query({ queryEmbeddings: [[1, 0]], nResults: 1, whereDocument: { $foo: "a" } }),
    );
    same(await made.count(), 5);
  },
  distancesL2: () => distancesAgree("l2", {}),
  distancesCosine: () => distancesAgree("cosine", { metadata: { "hnsw:space": "cosine" } }),
  distancesIp: () => distancesAgree("ip", { metadata: { "hnsw:space": "ip" } }),
  async querySeveralVectors() {
    const found = plain(await (await filled()).query({ queryEmbeddings: [[1, 0], [0, 4]], nResults: 2 }));
    same(found.ids, [["a", "b"], ["d", "b"]]);
    same(found.distances, [[0, 5], [0, 4]]);
    same(found.documents[1], ["four Owls", "two birds and an owl"]);
    same(found.metadatas[1][0], { n: 4.5, t: "even" });
  },
  async queryForMoreThanThereIs() {
    same((await (await filled()).query({ queryEmbeddings: [[1, 0]], nResults: 100 })).ids[0].length, 5);
  },
  async queryWithoutAMatch() {
    const found = plain(await (await filled()).query({ queryEmbeddings: [[1, 0], [2, 0]], nResults: 3, where: { nokey: 1 } }));
    same([found.ids, found.distances, found.documents], [[[], []], [[], []], [[], []]]);
  },
  async queryAnEmptyCollection() {
    same((await (await empty()).query({ queryEmbeddings: [[1, 0]], nResults: 3 })).ids, [[]]);
    same((await (await empty()).get()).ids, []);
  },
  async queryIncludesWhatIsAskedFor() {
    const made = await filled();
    const found = plain(await made.query({ queryEmbeddings: [[1, 0]], nResults: 2, include: ["embeddings", "documents"] }));
    same([found.ids, found.embeddings, found.documents], [[["a", "b"]], [[[1, 0], [0, 2]]], [["one owl", "two birds and an owl"]]]);
    assert.ok(!found.metadatas?.length && !found.distances?.length);
  },
  async queryAnotherDimension() {
    const made = await filled();
    await raises(generation.dimension, () => made.query({ queryEmbeddings: [[1, 2, 3]], nResults: 1 }));
  },
  async updateChangesWhatIsGiven() {
    const made = await filled();
    await made.update({ ids: ["a", "nobody"], metadatas: [{ n: 10, more: "x" }, { n: 1 }] });
    await made.update({ ids: ["d"], documents: ["changed"], embeddings: [[7, 7]] });
    const got = plain(await made.get({ ids: ["a", "d"], include: ["metadatas", "documents", "embeddings"] }));
    same(got.metadatas, [{ n: 10, t: "odd", more: "x" }, { n: 4.5, t: "even" }]);
    same(got.documents, ["one owl", "changed"]);
    same(got.embeddings, [[1, 0], [7, 7]]);
    same(await made.count(), 5);
  },
  async upsert() {
    const made = await filled();
    await made.upsert({ ids: ["a", "new"], embeddings: [[9, 9], [8, 8]], metadatas: [{ n: 11 }, { n: 12 }], documents: ["x", "y"] });
    const got = plain(await made.get({ ids: ["a", "new"] }));
    same([got.ids, got.documents, got.metadatas], [["a", "new"], ["x", "y"], [{ n: 11, t: "odd" }, { n: 12 }]]);
    same(await made.count(), 6);
  },
  async deleteByIds() {
    const made = await filled();
    await made.delete({ ids: ["a", "c", "nobody"] });
    same((await made.get()).ids, ["e", "d", "b"]);
  },
  async deleteWhere() {
    const made = await filled();
    await made.delete({ where: { t: "even" } });
    same((await made.get()).ids, ["e", "a", "c"]);
    await made.delete({ whereDocument: { $contains: "birds" } });
    same((await made.get()).ids, ["a", "c"]);
    await made.delete({ ids: ["a", "c"], where: { n: 1 } });
    same((await made.get()).ids, ["c"]);
  },
  async deleteNeedsAChoice() {
    const made = await filled();
    if (generation.noChoice) await raises(generation.noChoice, () => made.delete());
    else await made.delete({}).catch((error) => assert.match(error.name, /Chroma/));
    same(await made.count(), 5);
  },
  async peek() {
    const made = await filled();
    const got = plain(await made.peek({ limit: 2 }));
    same([got.ids, got.documents], [["e", "a"], ["five birds", "one owl"]]);
    same((await made.peek({})).ids.length, 5);
  },
  async modifyNameAndMetadata() {
    const made = await filled({ metadata: { old: 1 } });
    const [before, after] = [made.name, name()];
    await made.modify({ name: after });
    await made.modify({ metadata: { fresh: 2.5 } });
    const found = await find(after);
    same([found.id, plain(found.metadata), await found.count()], [made.id, { fresh: 2.5 }, 5]);
    await raises(generation.missing, () => find(before));
  },
  async metadataComesBackExactly() {
    const made = await empty();
    const values = { zero: 0, negative: -1, largest: Number.MAX_SAFE_INTEGER, float: 0.1, huge: 1.7976931348623157e308, yes: true, no: false, empty: "", "ключ ☃": "日本語 🦉 \" ' \\ \n <b>&amp;" };
    await made.add({ ids: ["a"], embeddings: [[1]], metadatas: [values] });
    same(plain(await made.get()).metadatas, [values]);
    for (const [key, value] of Object.entries(values)) same([key, (await made.get({ where: { [key]: value } })).ids], [key, ["a"]]);
  },
  async unicodeIdsAndDocuments() {
    const made = await empty();
    const ids = ["日本", "a/b?c=d&e#f%20", "🦉", " "];
    const documents = ["ünïcode ☃", "line\nbreak\ttab", "🦉".repeat(100), "<script>alert(1)</script>"];
    await made.add({ ids, embeddings: [[1], [2], [3], [4]], documents });
    const got = await made.get();
    same([got.ids, got.documents], [ids, documents]);
    same((await made.get({ whereDocument: { $contains: "☃" } })).ids, ["日本"]);
  },
  async vectorsComeBackToTheLastBit() {
    const made = await empty();
    const sent = Array.from({ length: 20 }, (_, i) => Array.from({ length: 17 }, (_, j) => Math.fround(Math.sin(i * 17 + j) / 3)));
    await made.add({ ids: sent.map((_, i) => `${i}`), embeddings: sent });
    same((await made.get({ include: ["embeddings"] })).embeddings.map((row) => row.map(Math.fround)), sent);
  },
  async fiveThousandRows() {
    const made = await empty();
    const ids = Array.from({ length: 5000 }, (_, i) => `r${i}`);
    await made.add({ ids, embeddings: ids.map((_, i) => [i, 1, -1, 0.5]), metadatas: ids.map((_, i) => ({ i, even: i % 2 === 0 })), documents: ids });
    same(await made.count(), 5000);
    const got = await made.get({ include: ["metadatas", "documents"] });
    same([got.ids, plain(got.metadatas[4321]), got.documents[4999]], [ids, { i: 4321, even: false }, "r4999"]);
    same((await made.query({ queryEmbeddings: [[1234, 1, -1, 0.5]], nResults: 1 })).ids, [["r1234"]]);
  },
  async callsAtTheSameTime() {
    const made = await filled();
    await Promise.all(Array.from({ length: 40 }, (_, i) => made.add({ ids: [`t${i}`], embeddings: [[i, 1]] })));
    same(await made.count(), 45);
  },
  async resetIsRefused() {
    const before = await client.countCollections();
    await raises(generation.forbidden, () => client.reset());
    same(await client.countCollections(), before);
  },
  async tenantsAndDatabasesAreApart() {
    const made = await empty();
    const other = `other база ${randomUUID().slice(0, 6)}`;
    await admin.createDatabase(generation.database(other));
    const elsewhere = connect({ database: other });
    same(await elsewhere.countCollections(), 0);
    await raises(generation.missing, () => elsewhere.getCollection({ name: made.name, embeddingFunction }));
    const twin = await elsewhere.createCollection({ name: made.name, embeddingFunction });
    assert.notEqual(twin.id, made.id);
  },
  async aTenantThatIsNotThere() {
    await raises(generation.missingTenant, () => connect({ tenant: "no such tenant" }).createCollection({ name: name(), embeddingFunction }));
  },
  async tokenByOptions() {
    for (const kind of ["Authorization", "X-Chroma-Token"]) {
      const made = await connect(generation.withToken(kind), guardedUrl).createCollection({ name: name(), embeddingFunction });
      await made.add({ ids: ["a"], embeddings: [[1]] });
      same(await (await find(made.name)).count(), 1);
    }
  },
  async noToken() {
    await raises(generation.unauthorized, () => connect({}, guardedUrl).createCollection({ name: name(), embeddingFunction }));
  },
};

const LATER = {
  async configurationIsKept() {
    const made = await empty({ configuration: { hnsw: { space: "cosine", ef_construction: 77, max_neighbors: 8, ef_search: 55 } } });
    const { hnsw } = (await find(made.name)).configuration;
    same([hnsw.space, hnsw.ef_construction, hnsw.max_neighbors, hnsw.ef_search], ["cosine", 77, 8, 55]);
    await made.modify({ configuration: { hnsw: { ef_search: 222 } } });
    same((await find(made.name)).configuration.hnsw.ef_search, 222);
  },
  async theServerTakesBase64() {
    same(await client.supportsBase64Encoding(), true);
  },
  async collectionById() {
    const made = await filled();
    same((await client.getCollectionById(made.id)).name, made.name);
  },
  async forkAndIndexingStatus() {
    const made = await filled();
    const forked = await made.fork({ name: name() });
    await forked.delete({ ids: ["a"] });
    same([await made.count(), await forked.count()], [5, 4]);
    same((await made.getIndexingStatus()).total_ops, 5);
  },
  async regularExpressions() {
    const made = await filled();
    same((await made.get({ whereDocument: { $regex: "(?i)OWL" } })).ids, ["a", "d", "b"]);
  },
};

for (const [check, run] of Object.entries(generation.configuration ? { ...CHECKS, ...LATER } : CHECKS)) {
  const result = { name: check, ok: true, detail: "" };
  try {
    await run();
  } catch (error) {
    Object.assign(result, { ok: false, detail: String(error.stack ?? error) });
  }
  console.log(JSON.stringify(result));
}
