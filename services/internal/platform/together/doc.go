// Package together lets those who want the same at the same time do it in one go.
//
// A Gate lets few through at once. Whoever comes meanwhile waits, and those who wait go on as one batch, carried by the first of
// them: the busier it is, the more share the cost of one round, while a single one goes at once and waits for nobody.
package together
