// Package party makes ids for people and companies, and the normal forms by which they are matched.
//
// What it promises:
//
//   - Every Normalize function and every key is idempotent: applied to its own result it changes nothing. Fuzz tests hold
//     it to that.
//   - Width never matters: text is taken in the form NFKC, so full-width digits and letters, half-width kana and characters
//     such as ㈱ compare as their plain forms.
//   - Nothing here does I/O, and every function is safe for concurrent use.
package party
