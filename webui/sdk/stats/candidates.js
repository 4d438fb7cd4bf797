// The two ends of a connection's path, as their candidates have them.
import { selectedPair } from '../path.js';

export function candidatesOf(report) {
  const pair = selectedPair(report);
  const ends = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => report.get(id));
  if (!ends.every(Boolean)) return null;
  const [local, remote] = ends.map(({ candidateType: type, protocol, address, port }) =>
    ({ type, protocol, address: address ?? null, port: port ?? null }));
  return { local, remote };
}
