// Counts what is written to dynalite: NODE_OPTIONS="--require …/benchmarks/writes.cjs" WRITES=FILE.
//
// The file holds the number of PutItem, UpdateItem and DeleteItem so far, refused ones too; it is some tenths of a second late.

const { writeFileSync } = require("node:fs");
const { Server } = require("node:http");

const WRITES = /\.(Put|Update|Delete)Item$/;
const emit = Server.prototype.emit;
let made = 0;
let told = -1;

Server.prototype.emit = function (event, request, ...rest) {
  if (event === "request" && WRITES.test(request.headers["x-amz-target"])) made += 1;
  return emit.call(this, event, request, ...rest);
};
setInterval(() => {
  if (made !== told) writeFileSync(process.env.WRITES, String((told = made)));
}, 200).unref();
