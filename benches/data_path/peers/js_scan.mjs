// A parallel Scan as it is written with the JavaScript SDK v3: eight segments, JSON, gzip 6.
// NODE_PATH names the folder that has @aws-sdk/client-dynamodb; the table is the first argument.

import { createRequire } from "node:module";
import { createGzip } from "node:zlib";
import { finished } from "node:stream/promises";

const { DynamoDBClient, ScanCommand } = createRequire(import.meta.url)("@aws-sdk/client-dynamodb");
const SEGMENTS = 8;
const client = new DynamoDBClient({});
const plain = (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value);

async function segment(number) {
  let [items, bytes, after] = [0, 0, undefined];
  const gzip = createGzip({ level: 6 });
  gzip.on("data", (chunk) => (bytes += chunk.length));
  do {
    const page = await client.send(
      new ScanCommand({
        TableName: process.argv[2],
        Segment: number,
        TotalSegments: SEGMENTS,
        ExclusiveStartKey: after,
      }),
    );
    for (const item of page.Items) gzip.write(JSON.stringify({ Item: item }, plain) + "\n");
    items += page.Items.length;
    after = page.LastEvaluatedKey;
    if (gzip.writableNeedDrain) await new Promise((resume) => gzip.once("drain", resume));
  } while (after);
  gzip.end();
  await finished(gzip);
  return { items, bytes };
}

const done = await Promise.all(Array.from({ length: SEGMENTS }, (_, number) => segment(number)));
const sum = (name) => done.reduce((total, one) => total + one[name], 0);
console.log(JSON.stringify({ items: sum("items"), bytes: sum("bytes") }));
