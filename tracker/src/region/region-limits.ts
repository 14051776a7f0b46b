/** The named limits of founding, joining and placement, each with its reason. */

/** Limits of what peers say to one another about regions, and of what they remember. */
export const regionLimits = {
  /** A region's name, UTF-8 bytes: a word that an operator writes into a setting. */
  nameBytesMax: 64,
  /** A libp2p peer id as text, bytes: the longest kinds are a little over a hundred. */
  peerIdBytesMax: 160,
  /** A region's id, random bytes: nobody ever draws the same. */
  regionIdBytes: 16,
  /** Peers that a hello, an admission or the file names: enough to find one that lives, and little to send. */
  contactsMax: 16,
  /** Peers in the address list of an invitation: the members of one group while it changes. */
  invitedMax: 64,
  /** Groups in one report: a region's groups and room for more. */
  groupsMax: 256,
  /** Members of one group's configuration, in each of its lists. */
  groupMembersMax: 64,
  /** Steps of one change of membership. */
  changesMax: 32,
  /** Roles of a member, and the length of each, bytes: words such as `gpu` and `ingest`. */
  rolesMax: 16,
  roleBytesMax: 32,
  /** The file with what this peer knows of itself; a larger one is not of our making. */
  fileBytesMax: 8 * 1024,
  /** Keys that a dissolving region offers, and how many of them in one message: configuration, not data. */
  offeredMax: 1_000,
  offeredBytesMax: 1024 * 1024,
  /** Other regions of the same name that are remembered as conflicts. */
  conflictsMax: 8,
  /** Peers that are known to be there; a region is found through any few of them. */
  peersMax: 1_024,
  /** Hellos at once. */
  greetingsMax: 16,
  /** Members of a region in one look at it: what a region's leader can watch over. */
  membersMax: 4_096,
} as const

/** Times of founding, joining and membership, milliseconds. */
export const regionTimes = {
  /** How long a peer that expects others looks for a region before it founds one: a few connections over a bad line. */
  lookMs: 10_000,
  /** How long peers that all look wait for one that has a region, before the first of them founds it. */
  settleMs: 3_000,
  /** Between hellos to the same peers while looking, and between requests to join that were put off. */
  askAgainMs: 1_000,
  /** One request to another peer: an election and a write behind it. */
  requestMs: 5_000,
  /** Between hellos to peers of other regions, or of none: how soon two regions that missed one another meet. */
  greetMs: 30_000,
  /** Without a quorum for so long a peer says that it is degraded: longer than any election. */
  degradedMs: 30_000,
  /** A conflict that is not heard of for so long is over. */
  conflictMs: 300_000,
  /** A region that refused this peer is not asked again for so long. */
  refusedMs: 600_000,
  /** The lease of a member's presence: survives the longest election, and a pause of garbage collection. */
  presenceMs: 10_000,
  /** Between changes of what a member says of itself (its load), so that a region of thousands writes little. */
  presenceChangeMs: 60_000,
  /** How often a member asks who else is one, and by how much less often for each member that there is. */
  refreshMs: 5_000,
  refreshMsEach: 50,
  /** How long a member that leaves waits for others to take its seats; after that it goes as one that was lost. */
  leaveMs: 20_000,
  /** A member that is absent for so long and has no seat is struck off: it comes back under a new id. */
  strikeOffMs: 7 * 86_400_000,
} as const

/** What placement goes by. */
export const placementLimits = {
  /** The most voters of a group: two may be lost, and a write still waits for two others only. */
  votersMax: 5,
  /** A member is asked to vote after so long a presence: what comes and goes within it is no ground to build on. */
  voterAgeMs: 5_000,
  /**
   * The second of two members votes after this long. Two voters need both: until the second has proved steady, one that
   * decides alone and one that copies it stop less often.
   */
  pairAgeMs: 600_000,
  /** From here on a member counts as steady, and is chosen before those that are not. */
  steadyMs: 600_000,
  /** A voter is replaced when it was gone for so long: a restart or a short break of a line moves nothing. */
  goneMs: 30_000,
  /**
   * A member that forgot a group takes no seat there for so long: what it acknowledged before has arrived or is lost by
   * then, and is not taken for what it holds now. Who did not take a seat is not asked again for as long.
   */
  returnMs: 20_000,
  /** A learner that is at most so many entries behind may vote: it has the rest within a few appends. */
  caughtUpEntries: 256,
  /** Above this load (0 to 1) a member is chosen only when there is no other. */
  loadMax: 0.9,
  /** Between two rounds of placement when nothing happens, milliseconds. */
  roundMs: 3_000,
  /** The least between two rounds, however much happens, milliseconds. */
  roundMsMin: 200,
  /** Leaders that are moved for balance in one round: an election at a time is enough of disturbance. */
  transfersMax: 2,
  /** A group's leader is moved for balance at most this often, milliseconds. */
  transferMs: 30_000,
  /** Members without a seat that are asked in one round what they hold. */
  askedMax: 16,
  /** Requests under way at once. */
  requestsMax: 32,
  /**
   * A leader looks so often, with so much time between, who answers it, before it tells that somebody does not: it counts
   * answers anew with every election timeout, and a heartbeat takes two fifths of one.
   */
  samplesMax: 8,
  sampleMs: 100,
} as const
