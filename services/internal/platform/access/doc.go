// Package access says who is calling and whether they may.
//
// It promises that
//   - a token is accepted only with a good signature of a known issuer, the audience of this system, and an expiry that
//     lies ahead (half a minute of clock difference is forgiven); `none` and shared-secret algorithms never are;
//   - the rule of a method is the option (tasuki.access.v1.rule) of its descriptor and nothing else; a method without a
//     rule is refused for everybody;
//   - an issuer that cannot be reached makes calls fail as UNAVAILABLE, never the start; its keys are fetched again after
//     minutes, or when a token names an unknown one, and then at most every few seconds;
//   - an identity of a service is which department it is, and nothing more, whatever else its token claims;
//   - administrators may whatever people may; the role SERVICE is admitted only where the contract says so, and only
//     an issuer that is trusted for services can grant it;
//   - handlers and stores see a plain Actor in the context, and no token machinery.
//
// Verifier checks tokens of one or more issuers. Issuer makes them: the embedded issuer of a fresh machine, and the
// identity with which services call one another.
package access
