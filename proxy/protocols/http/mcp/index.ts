/** MCP for the HTTP adapter: messages in, facts and verdicts out. See README.md. */
export * from './exchange.ts';
export * from './facts.ts';
export type { RequestId } from './json-rpc.ts';
export * from './message.ts';
export { allowedServerRequests, type ServerRequest } from './methods.ts';
export { type McpAnswer, refuseFault, refuseMessage, sessionUnknown } from './refuse.ts';
export { type ReadOptions, readMcpRequest } from './request.ts';
export * from './resource-metadata.ts';
export type { ListedItem, WithheldItem } from './results.ts';
export { type Owner, Sealer } from './sealer.ts';
export { type Mask, type McpSession, McpSessions } from './sessions.ts';
export * from './sse.ts';
export { type FirstUses, type ToolPin, ToolPins, type ToolStatus } from './tool-pins.ts';
export type { Era } from './versions.ts';
