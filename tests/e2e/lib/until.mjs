// Waiting for something to become so, with a deadline.
import { setTimeout as delay } from 'node:timers/promises';

const kInterval = 20; // ms; short beside everything that is waited for

// Calls `probe` until it returns something truthy, and returns that. When it
// does not within `within` ms, the error says `what`, and what probe last
// returned or threw.
export async function until(what, probe, { within = 5000 } = {}) {
  const deadline = performance.now() + within;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = JSON.stringify(value);
    } catch (error) {
      last = error.message;
    }
    if (performance.now() >= deadline) throw new Error(`not within ${within} ms: ${what} (last: ${last})`);
    await delay(kInterval);
  }
}

// Settles as `promise` does, or fails after `ms`.
export async function within(ms, what, promise) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
