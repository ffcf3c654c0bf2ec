// dynalite for this machine alone, and safe against kill -9.
//
//   ACCESS_KEY=… node scripts/dynamodb.cjs PORT FOLDER
//
// dynalite answers every origin, every Host and every key: any web page could read and write the job store. Here a
// request is 403 unless it comes without an Origin, names the loopback as its Host, and is signed with the access key
// of this run. (The signature itself is not computed: the key is what a stranger does not have.)
//
// And dynalite writes a changed item in three steps: old index entries out, new ones in, then the item. A kill between
// them would leave a job that no index knows, so here the three are one batch, which LevelDB writes whole or not at all.

const { timingSafeEqual } = require("node:crypto");
const db = require("dynalite/db");

const LOOPBACK = /^(127\.0\.0\.1|localhost)(:\d+)?$/;
const key = Buffer.from(`AWS4-HMAC-SHA256 Credential=${process.env.ACCESS_KEY}/`);

let held = null; // index entries of the item that is written next; dynalite goes from one to the other synchronously

const updateIndexes = (store, table, before, after, done) => {
  const operations = [];
  for (const type of ["Local", "Global"]) {
    const { puts, deletes } = db.getIndexActions(table[`${type}SecondaryIndexes`] || [], before, after, table);
    const prefix = (action) => `index-${type.toLowerCase()}~${table.TableName}~${action.index}~`;
    for (const action of deletes) operations.push({ type: "del", key: prefix(action) + action.key });
    for (const action of puts) operations.push({ type: "put", key: prefix(action) + action.key, value: action.item });
  }
  held = operations;
  try {
    done(null);
  } finally {
    held = null;
  }
};

const create = db.create;
db.updateIndexes = updateIndexes;
db.create = (options) => {
  const store = create(options);
  const { put, del } = store.db;
  const together = (operation, alone, done) => {
    const indexes = held;
    held = null;
    if (!indexes?.length) return alone();
    return store.db.batch([...indexes, operation], done);
  };
  store.db.put = (key, value, done) => together({ type: "put", key, value }, () => put(key, value, done), done);
  store.db.del = (key, done) => together({ type: "del", key }, () => del(key, done), done);
  return store;
};

const allowed = ({ headers }) => {
  const given = Buffer.from(headers.authorization || "").subarray(0, key.length);
  return (
    headers.origin === undefined &&
    LOOPBACK.test(headers.host || "") &&
    given.length === key.length &&
    timingSafeEqual(given, key)
  );
};

const [port, path] = process.argv.slice(2);
if (!process.env.ACCESS_KEY) throw new Error("ACCESS_KEY is not set");
const server = require("dynalite")({ path, createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });
const [answer] = server.listeners("request");
server.removeAllListeners("request");
server.on("request", (request, response) => {
  if (!allowed(request)) {
    request.resume();
    response.writeHead(403, { "Content-Type": "text/plain", "Content-Length": 10 }).end("forbidden\n");
    return;
  }
  answer(request, response);
  // dynalite throws where a client goes away in the middle of its request: that ends the request, not the server.
  request.removeAllListeners("error").on("error", () => {});
});
server.listen(Number(port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
