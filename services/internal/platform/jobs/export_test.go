package jobs

import "time"

// PollEvery sets how often River looks for jobs by itself. Call it before Start.
func (j *Jobs) PollEvery(d time.Duration) { j.poll = d }
