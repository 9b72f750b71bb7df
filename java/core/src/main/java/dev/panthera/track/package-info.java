/** Sends a run's metrics to where other tools show them: TensorBoard's event files, an MLflow server. */
@NullMarked
package dev.panthera.track;

import org.jspecify.annotations.NullMarked;
