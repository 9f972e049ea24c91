// One command for the AWS SDK for JavaScript, read as JSON from standard input. Everything but path-style addressing is
// the SDK's default; endpoint, region, credentials and CA come from the environment.

import { createReadStream, createWriteStream, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const request = JSON.parse(readFileSync(0, "utf8"));
const client = new S3Client({ forcePathStyle: true });

async function get(object, file) {
  const answer = await client.send(new GetObjectCommand(object));
  await pipeline(answer.Body, createWriteStream(file));
}

async function list() {
  const answer = await client.send(new ListObjectsV2Command(request.object));
  return (answer.Contents ?? []).map(({ Key, Size }) => ({ Key, Size }));
}

const actions = {
  async upload() {
    for (const name of readdirSync(request.folder)) {
      const Body = createReadStream(join(request.folder, name));
      await new Upload({ client, params: { ...request.object, Key: request.prefix + name, Body } }).done();
    }
  },

  async download() {
    const { Bucket, Prefix } = request.object;
    for (const { Key } of await list()) {
      await get({ Bucket, Key }, join(request.folder, Key.slice(Prefix.length)));
    }
  },

  async get() {
    await get(request.object, request.file);
  },

  async list() {
    console.log(JSON.stringify(await list()));
  },

  async copy() {
    const source = request.source.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
    await client.send(new CopyObjectCommand({ ...request.object, CopySource: source }));
  },

  async delete() {
    await client.send(new DeleteObjectCommand(request.object));
  },

  async presign() {
    const Command = { GET: GetObjectCommand, PUT: PutObjectCommand }[request.method];
    console.log(await getSignedUrl(client, new Command(request.object), { expiresIn: 600 }));
  },
};

try {
  await actions[request.action]();
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
